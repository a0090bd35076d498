/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Letters that look alike, by block: one byte per code point, '.' = keep the character as it is. Derived from
 * the Unicode names and compatibility decompositions; the Greek and Cyrillic rows list only what a reader
 * mistakes for Latin. */
#include <stdint.h>

static const struct kt_fold_block {
    uint32_t first, last;
    const char *letters;
} kt_fold_blocks[] = {
    /* clang-format off */
    {0xc0, 0x2af, /* Latin, IPA */
     "aaaaaa.ceeeeiiiidnooooo.ouuuuyt.aaaaaa.ceeeeiiiidnooooo.ouuuuytyaaaaaaccccccccddddeeeeee"
     "eeeegggggggghhhhiiiiiiiiii..jjkkkllllllllllnnnnnn.nnoooooo..rrrrrrssssssssttttttuuuuuuuu"
     "uuuuwwyyyzzzzzzsbbbb...cc.ddd....ffg...ikkl..nnooo..pp.....ttttuu.vyyzz..............d.."
     "l..n.aaiioouuuuuuuuuu.aaaa..ggggkkoooo..j.d.gg..nnaa..ooaaaaeeeeiiiioooorrrruuuusstt..hh"
     "nd..zzaaeeooooooooyylnt...accltsz..b..eejj.qrryyaaab.cdd.e.ee..jggg..hh.iiilll.m.mnnno.."
     ".r..rrr.r.ss...ttu.vvwyyzz.......b..hj.lq..............."},
    {0x2b0, 0x2e3, /* raised letters */
     "h.jrrrrwy........................................lsx"},
    {0x370, 0x3ff, /* Greek lookalikes */
     ".................................ab..ezh.ik.mn.o.p..ty.x.........aby.ezn.ik..v.o.p.stu.x"
     ".w........................................cj.....c......"},
    {0x400, 0x4ff, /* Cyrillic lookalikes */
     ".e...siij.......a.b..e....k.mho.pcty.x..........a.b..e....k.mho.pcty.x...........e..esii"
     "j........................................................r.x.......g.......k..........yh"
     "yu.y......hh....l..............f................................................"},
    {0x500, 0x52f,
     "dd........................qqww.................."},
    {0x1d00, 0x1d7f, /* small capitals */
     "a...cd.e..jk.m.o........p..tu...vwz...r.....a.b.de.ghijklmn.o.prtuwa...bde...g.km.o...pt"
     "u..v......iruv......bdfmnprrstz......p.."},
    {0x1d9c, 0x1dbb, /* raised letters */
     "c...f..........................z"},
    {0x1e00, 0x1eff, /* Latin additional */
     "aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmmmmmmnnnnnnnnoooooooopppp"
     "rrrrrrrrssssssssssttttttttuuuuuuuuuuvvvvwwwwwwwwwwxxxxyyzzzzzzhtwyas....aaaaaaaaaaaaaaaa"
     "aaaaaaaaeeeeeeeeeeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy....yy"},
    {0x2070, 0x209f, /* raised and lowered */
     "0i..456789.....n0123456789......aeox.hklmnpst..."},
    {0x2100, 0x214f, /* letterlike */
     "..c.......ghhhh.iill.n...pqrrr......z...z.kabc.eef.mo....i...........ddeij......"},
    {0x2160, 0x217f, /* Roman numerals */
     "i...v....x..lcdmi...v....x..lcdm"},
    {0x2460, 0x2468, /* digits in circles */
     "123456789"},
    {0x249c, 0x24e9, /* in brackets and circles */
     "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"},
    {0x2800, 0x283f, /* Braille */
     " a.b.k.l.cif.msp.e.h.o.r.djg.ntq.....u.v.....x.......z....w..y.."},
    {0xa730, 0xa737,
     "fs......"},
    {0x1f110, 0x1f12b, /* in brackets */
     "abcdefghijklmnopqrstuvwxyzsc"},
    {0x1f130, 0x1f149,
     "abcdefghijklmnopqrstuvwxyz"},
    {0x1f150, 0x1f169,
     "abcdefghijklmnopqrstuvwxyz"},
    {0x1f170, 0x1f189,
     "abcdefghijklmnopqrstuvwxyz"},
    {0x1f1e6, 0x1f1ff, /* regional indicators */
     "abcdefghijklmnopqrstuvwxyz"},
    /* clang-format on */
};
