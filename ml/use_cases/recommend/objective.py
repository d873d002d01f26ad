"""What training minimises: surprise at those products of the next basket that a list of ten could hold."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ml.use_cases.recommend.judgement import K


def basket_loss(targets: Any, scores: Any) -> Any:
    """Return -log softmax(scores) of each row's products, weighted by how near they are to the first ten.

    loss = Σ_t w_t · (-log p_t) · (1 / n + 1 / min(n, 10)) / 2 over the n known products t of the basket, where w_t =
    sigmoid(score_t - tenth best score) is taken as a constant. Most products of a basket are far beyond any list;
    unweighted, they decide what is learned. A hit counts as in the mean of Recall@10 and NDCG@10.

    Args:
        targets: Numbers in the vocabulary `(n_rows, n)`, -1 where there is none.
        scores: `(n_rows, n_products)`.
    """
    is_there = tf.cast(targets >= 0, tf.float32)
    bought = tf.gather(scores, tf.maximum(tf.cast(targets, tf.int32), 0), batch_dims=1)
    edge = tf.math.top_k(scores, tf.minimum(K, tf.shape(scores)[1])).values[:, -1:]
    weights = tf.stop_gradient(tf.sigmoid(bought - edge)) * is_there
    surprise = tf.reduce_logsumexp(scores, axis=1, keepdims=True) - bought
    n = tf.maximum(tf.reduce_sum(is_there, axis=1), 1.0)
    return tf.reduce_sum(surprise * weights, axis=1) * (1 / n + 1 / tf.minimum(n, float(K))) / 2
