// SPDX-License-Identifier: Apache-2.0
// Nothing but the precompiled header of the unit tests.
int main()
{
    return 0;
}
