#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Manual pages and shell completions out of what `kt --help` and `kt policy reference` print: make_docs.py KT OUT VERSION LIBDIR"""
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
DATE = "2026"


def ask(kt, *args):
    return subprocess.run([kt, *args], capture_output=True, text=True, check=True).stdout


def commands(kt):
    """name -> (summary, help text), in the order of `kt --help`."""
    text = ask(kt, "--help").split("commands:\n", 1)[1].split("\n\n", 1)[0]
    found = re.findall(r"^  (\S+)\s+(.*)$", text, re.M)
    return {name: (summary, ask(kt, name, "--help")) for name, summary in found}


def subcommands(name, text):
    """Words that may follow the command, by its own usage lines or its list of subcommands."""
    named = re.findall(rf"^(?:usage:|      ) kt {name} ([a-z]+)\b", text, re.M)
    listed = re.findall(r"^  ([a-z]+)  +\S", text, re.M) if "<subcommand>" in text else []
    return list(dict.fromkeys(named + listed))


def options(text):
    """--name -> what it takes: "" for a switch, else "F", "D", "a|b", ... as the help writes it."""
    out = {}
    for name, value in re.findall(r"(--[a-z][a-z-]*)(?:[ =]([A-Z][A-Z]*(?::[A-Z]+)?|[a-z]+(?:\|[a-z]+)+))?", text):
        out[name] = out.get(name) or value
    return out


def roff(text):
    lines = text.replace("\\", "\\e").replace("-", "\\-").splitlines()
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in lines)


def man_kt(all_commands, top, version):
    out = [".\\\" Generated from the help texts.", f'.TH KT 1 "{DATE}" "ktwrap {version}" "User commands"', ".SH NAME",
           "kt \\- policies and routing inside unmodified programs that call an LLM", ".SH SYNOPSIS", ".B kt", ".I command", "[options]",
           ".SH COMMANDS"]
    for name, (summary, text) in all_commands.items():
        out += [f".SS kt {name}", roff(summary[:1].upper() + summary[1:] + "."), ".PP", ".nf", roff(text.strip()), ".fi"]
    rest = top.split("environment:\n", 1)[1]
    out += [".SH ENVIRONMENT AND EXIT STATUS", ".nf", roff(rest.strip()), ".fi", ".SH SEE ALSO", ".BR libkt (8),", ".BR policy-config (5)"]
    return "\n".join(out) + "\n"


def man_config(reference, version):
    out = [".\\\" Generated from the option tables.", f'.TH POLICY-CONFIG 5 "{DATE}" "ktwrap {version}" "File formats"', ".SH NAME",
           "policy-config.yaml \\- the config of ktwrap", ".SH DESCRIPTION"]
    for line in reference.splitlines()[1:]:
        row = re.match(r"^\| `(.*?)`(.*?) \| (.*?) \| (.*?)\| (.*) \|$", line.replace("\\|", "\0"))
        if line.startswith("## "):
            out += [f".SH {roff(line[3:])}"]
        elif row:
            name, alias, kind, default, help_text = (part.replace("\0", "|") for part in row.groups())
            default = default.strip()
            out += [".TP", f".B {roff(name)}{roff(alias.replace('`', ''))}",
                    roff(f"{help_text or name} ({kind}{'; default ' + default if default and '**' not in default else ''}{'; required' if '**' in default else ''})"
                         .replace("`", ""))]
        elif line and not line.startswith("|"):
            out.append(roff(line.replace("`", "")))
    return "\n".join(out + [".SH SEE ALSO", ".BR kt (1),", ".BR libkt (8)"]) + "\n"


def bash(table):
    out = ["# bash completion of kt; generated from its help texts.", "_kt() {",
           '    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd=${COMP_WORDS[1]} words=""',
           f"    if [ \"$COMP_CWORD\" = 1 ]; then words='{' '.join(table)} --help --version'",
           "    else", "        case $cmd:$prev in"]
    for name, (_, subs, opts) in table.items():
        for option, value in opts.items():
            if "|" in value:
                out.append(f"        {name}:{option}) words='{value.replace('|', ' ')}' ;;")
            elif value == "D":
                out.append(f"        {name}:{option}) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;")
            elif value:
                out.append(f"        {name}:{option}) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;")
    for name, (_, subs, opts) in table.items():
        out.append(f"        {name}:*) words='{' '.join(subs + list(opts))}' ;;")
    out += ["        esac", "    fi", "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))",
            "    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))", "}", "complete -o filenames -F _kt kt"]
    return "\n".join(out) + "\n"


def quoted(text):
    return text.replace("'", "'\\''")


def zsh(table):
    out = ["#compdef kt", "# Generated from the help texts of kt.", "local -a commands", "commands=("]
    out += [f"  '{name}:{quoted(summary)}'" for name, (summary, _, _) in table.items()]
    out += [")", "if (( CURRENT == 2 )); then", "  _describe command commands", "  return", "fi", "case $words[2] in"]
    for name, (_, subs, opts) in table.items():
        words = subs + list(opts)
        out.append(f"  {name}) _alternative 'words:word:({' '.join(words)})' 'files:file:_files' ;;")
    return "\n".join(out + ["esac"]) + "\n"


def fish(table):
    out = ["# Generated from the help texts of kt.", "complete -c kt -f"]
    for name, (summary, subs, opts) in table.items():
        out.append(f"complete -c kt -n __fish_use_subcommand -a {name} -d '{summary.replace(chr(39), chr(92) + chr(39))}'")
        seen = f"'__fish_seen_subcommand_from {name}'"
        if subs:
            out.append(f"complete -c kt -n {seen} -a '{' '.join(subs)}'")
        for option, value in opts.items():
            takes = " -x -a '" + value.replace("|", " ") + "'" if "|" in value else " -r -F" if value else ""
            out.append(f"complete -c kt -n {seen} -l {option[2:]}{takes}")
    return "\n".join(out) + "\n"


def main():
    kt, out, version, libdir = sys.argv[1:5]
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    every = commands(kt)
    table = {}
    for name, (summary, text) in every.items():
        subs = subcommands(name, text)
        if "<subcommand>" in text:
            text += "".join(ask(kt, name, sub, "--help") for sub in subs)
        table[name] = (summary, subs, options(text))
    page = (HERE / "man/libkt.8").read_text()
    for key, value in {"@DATE@": DATE, "@VERSION@": version, "@LIBDIR@": libdir}.items():
        page = page.replace(key, value)
    (out / "libkt.8").write_text(page)
    (out / "kt.1").write_text(man_kt(every, ask(kt, "--help"), version))
    (out / "policy-config.5").write_text(man_config(ask(kt, "policy", "reference"), version))
    (out / "kt.bash").write_text(bash(table))
    (out / "_kt").write_text(zsh(table))
    (out / "kt.fish").write_text(fish(table))


if __name__ == "__main__":
    main()
