/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The pattern tables: one line per pattern in patterns/<set>.def. The generator takes the expressions out of
 * them when ktwrap is built, the detectors take the rest; a pattern's id is its line. Expressions are written
 * for folded text (kt_fold.h): lower case, no accents, one space or one newline between words.
 */

/* How a pattern of patterns/injection.def counts. */
enum kt_injection_family {
    KT_INJ_OVERRIDE,             /* drop what you were told */
    KT_INJ_BOUNDARY,             /* fake roles, fake system messages */
    KT_INJ_DELIMITER,            /* the end of the input, or of the prompt, told by the input */
    KT_INJ_EXTRACTION,           /* show the hidden prompt */
    KT_INJ_PERSONA,              /* jailbreak characters and modes */
    KT_INJ_LICENCE,              /* "no rules", "never refuse", "no matter how illegal" */
    KT_INJ_TASK,                 /* new task in place of the old one */
    KT_INJ_AUTHORITY,            /* claims to be the developer, override codes */
    KT_INJ_EXFIL,                /* send data elsewhere, hide it from the user */
    KT_INJ_TOOL,                 /* words to an AI where data should be; counts in tool results only */
    KT_INJ_SCORED,               /* number of families above: they make the score */
    KT_INJ_META = KT_INJ_SCORED, /* talk about attacks: quoted phrases count less */
    KT_INJ_ROT13,                /* the text may be written in rot13 ... */
    KT_INJ_ATBASH,               /* ... with the alphabet turned round ... */
    KT_INJ_REVERSED,             /* ... backwards ... */
    KT_INJ_LEET,                 /* ... with digits for letters ... */
    KT_INJ_SPACED,               /* ... with every letter by itself (no pattern: kt_decode_spaced.c) ... */
    KT_INJ_SCRAMBLED             /* ... with letters out of order (no pattern: kt_decode_scrambled.c) */
};

/* Categories of patterns/safety.def; the names go into events and `block_if`. */
enum kt_safety_category {
    KT_SAFE_WEAPONS,
    KT_SAFE_MALWARE,
    KT_SAFE_SELF_HARM,
    KT_SAFE_CSAM,
    KT_SAFE_VIOLENCE,
    KT_SAFE_DRUGS,
    KT_SAFE_FRAUD,
    KT_SAFE_HATE,
    KT_SAFE_ILLEGAL,
    KT_SAFE_HARASSMENT,
    KT_SAFE_MISINFORMATION,
    KT_SAFE_GENERAL,                          /* number of categories above: on in every mode */
    KT_SAFE_INFRASTRUCTURE = KT_SAFE_GENERAL, /* these are on in the mode that they are made for ... */
    KT_SAFE_VEHICLES,
    KT_SAFE_ACADEMIC,
    KT_SAFE_MATURE,
    KT_SAFE_POLICING,
    KT_SAFE_CATEGORIES, /* ... or where block_if names them; number of categories above */
    KT_SAFE_VETO =
        KT_SAFE_CATEGORIES /* a word that makes a phrase in the same sentence harmless: "prevent", "novel" */
};
