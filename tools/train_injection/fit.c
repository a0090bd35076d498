/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loops of model.py, which loads this as a library. Never shipped. Rows are flat arrays: row r has
 * sentences row[r]..row[r + 1], sentence s has features sentence[s]..sentence[s + 1] of `bucket`, and size[s]
 * bytes. Windows are those of kt_linear.c.
 */
#include "policyengine/detect/kt_linear.h"

#include <math.h>
#include <stdint.h>

#define SENTENCES 256 /* of one row, as in features.c */
#define EXPORT __attribute__((visibility("default")))

struct rows {
    const uint32_t *bucket;
    const int64_t *sentence, *row;
    const int32_t *size;
};

struct window {
    int64_t first, last; /* sentences; last < first: none */
    double odds;         /* without the bias */
};

struct fit {
    double *weight, *seen; /* KT_LINEAR_BUCKETS each */
    double bias, bias_seen;
};

/* The window with the highest odds. */
static struct window worst(const double *weight, const struct rows *in, int64_t r)
{
    double sums[SENTENCES];
    int64_t from = in->row[r], to = in->row[r + 1];
    struct window best = {0, -1, from == to ? 0 : -1e9};
    for (int64_t s = from; s < to; s++) {
        double sum = 0;
        for (int64_t i = in->sentence[s]; i < in->sentence[s + 1]; i++)
            sum += weight[in->bucket[i]];
        sums[s - from] = sum;
        int64_t bytes = 0, features = KT_LINEAR_SMOOTH;
        double all = 0;
        for (int64_t first = s; first >= from && first > s - (int64_t)KT_LINEAR_ROW; first--) {
            bytes += in->size[first];
            if (first < s && bytes > (int64_t)KT_LINEAR_REACH)
                break;
            all += sums[first - from];
            features += in->sentence[first + 1] - in->sentence[first];
            double odds = all / sqrt((double)features);
            if (odds > best.odds)
                best = (struct window){first, s, odds};
        }
    }
    return best;
}

/* One step of AdaGrad for one row: the gradient goes to its worst window. */
static void learn(struct fit *f, const struct rows *in, int64_t r, double label, double weight, double rate)
{
    struct window w = worst(f->weight, in, r);
    double odds = fmax(-30, fmin(30, f->bias + w.odds));
    double g = (1 / (1 + exp(-odds)) - label) * weight;
    if (fabs(g) < 0.02 || w.last < w.first)
        return;
    double step = g / sqrt((double)(KT_LINEAR_SMOOTH + in->sentence[w.last + 1] - in->sentence[w.first]));
    double square = step * step * 40, move = rate * step * 6;
    for (int64_t i = in->sentence[w.first]; i < in->sentence[w.last + 1]; i++) {
        uint32_t b = in->bucket[i];
        f->seen[b] += square;
        f->weight[b] -= move / sqrt(f->seen[b]);
    }
    f->bias_seen += g * g;
    f->bias -= 0.1 * g / sqrt(f->bias_seen);
}

EXPORT void kt_fit_pass(struct fit *f, const struct rows *in, const float *label, const float *weight,
                        const int32_t *order, int64_t count, double rate, double decay)
{
    for (int64_t k = 0; k < count; k++)
        learn(f, in, order[k], label[order[k]], weight[order[k]], rate);
    for (unsigned b = 0; b < KT_LINEAR_BUCKETS; b++)
        f->weight[b] *= 1 - decay;
}

/* Per row the log odds of its worst window and those of all of it as one window. */
EXPORT void kt_fit_judge(const double *weight, double bias, const struct rows *in, int64_t count,
                         double *best, double *whole)
{
    for (int64_t r = 0; r < count; r++) {
        int64_t from = in->sentence[in->row[r]], to = in->sentence[in->row[r + 1]];
        double sum = 0;
        for (int64_t i = from; i < to; i++)
            sum += weight[in->bucket[i]];
        best[r] = bias + worst(weight, in, r).odds;
        whole[r] = bias + sum / sqrt((double)(KT_LINEAR_SMOOTH + to - from));
    }
}
