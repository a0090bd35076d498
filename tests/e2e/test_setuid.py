# SPDX-License-Identifier: Apache-2.0
"""Setuid programs, as sudo is one: what kt wrap does to them, and what it says. Needs root, to make one; outside of the user namespace of other
tests, in which there is one user only."""
import os
import pathlib
import subprocess
import sys
import unittest

os.environ["KT_TEST_ISOLATED"] = "0"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402

SHOW = r"""
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(void)
{
    char line[4352];
    int ours = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f))
        ours |= strstr(line, "/libkt.so") != NULL;
    printf("euid %d, no_new_privs %d, libkt %d\n", (int)geteuid(), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), ours);
    return 0;
}
"""
USER = 65534


@unittest.skipUnless(os.geteuid() == 0, "only root can make a setuid program of another user's")
class Setuid(e2e.KtTest):
    def setUp(self):
        super().setUp()
        tmp = self.lab.tmp
        self.install_for_others()
        for folder in (self.lab.state, self.lab.runtime):
            folder.mkdir(exist_ok=True)
            os.chown(folder, USER, USER)
        self.show = tmp / "show"
        subprocess.run(["gcc", "-x", "c", "-", "-o", str(self.show)], input=SHOW, text=True, check=True)
        self.show.chmod(0o4755)
        if os.statvfs(tmp).f_flag & os.ST_NOSUID:
            self.skipTest("the folder for temporary files is mounted nosuid")

    def as_user(self, *command):
        argv = [str(self.lab.tmp / "bin/kt"), "wrap", "--state-dir", str(self.lab.state), *command]
        env = self.lab.env({"HOME": str(self.lab.state)})
        return subprocess.run(["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--", *argv], env=env, cwd=self.lab.tmp, capture_output=True,
                              text=True, timeout=60)

    def test_under_the_filter_it_gains_no_rights_and_is_seen(self):
        for command in ([str(self.show)], ["sh", "-c", f"{self.show}; exit $?"]):
            result = self.as_user("--", *command)
            self.assertEqual((result.returncode, result.stdout), (0, f"euid {USER}, no_new_privs 1, libkt 1\n"), result)
            self.assertEqual("gives no rights; --no-supervise" in result.stderr, command[0] == str(self.show), result.stderr)

    def test_without_it_it_gains_them_and_is_not_seen(self):
        for command in ([str(self.show)], ["sh", "-c", f"{self.show}; exit $?"]):
            result = self.as_user("--no-supervise", "--", *command)
            self.assertEqual((result.returncode, result.stdout), (0, "euid 0, no_new_privs 0, libkt 0\n"), result)
            self.assertEqual("ignores the preload" in result.stderr, command[0] == str(self.show), result.stderr)


if __name__ == "__main__":
    e2e.main()
