"""Small models with recurrence, attention and embeddings."""

import keras

layers = keras.layers


def _sequence(*parts, shape=(4, 3)):
    return keras.Sequential([keras.Input(shape), *parts])


def simple_rnn():
    return _sequence(layers.SimpleRNN(5, activation="tanh"), layers.Dense(3))


def lstm_stacked():
    return _sequence(
        layers.LSTM(5, return_sequences=True), layers.LSTM(4, go_backwards=True), layers.Dense(3)
    )


def gru():
    return _sequence(layers.GRU(5, use_bias=False), layers.Dense(3))


def gru_reset_before():
    return _sequence(layers.GRU(5, reset_after=False, return_sequences=True), layers.Dense(3))


def rnn_of_cells():
    cells = [layers.LSTMCell(5), layers.GRUCell(4), layers.SimpleRNNCell(3)]
    return _sequence(layers.RNN(cells, return_sequences=True), layers.Dense(3))


def rnn_of_one_cell():
    return _sequence(layers.RNN(layers.GRUCell(5)), layers.Dense(3))


def encoder_decoder():
    """The state of one layer starts the other."""
    source, target = keras.Input((4, 3), name="source"), keras.Input((5, 2), name="target")
    _, *state = layers.LSTM(5, return_state=True, name="encoder")(source)
    decoded = layers.LSTM(5, return_sequences=True, name="decoder")(target, initial_state=state)
    return keras.Model([source, target], layers.Dense(3, name="last")(decoded))


def bidirectional(mode, **options):
    inner = layers.LSTM(5, return_sequences=True, **options)
    inputs = keras.Input((4, 3))
    found = layers.Bidirectional(inner, merge_mode=mode, name="both")(inputs)
    found = layers.Concatenate()(found) if mode is None else found
    return keras.Model(inputs, layers.Dense(3, name="last")(found))


def bidirectional_states():
    inputs = keras.Input((4, 3))
    gru = layers.GRU(5, return_state=True)
    found, forward, backward = layers.Bidirectional(gru, name="both")(inputs)
    joined = layers.Concatenate()([found, layers.Add()([forward, backward])])
    return keras.Model(inputs, layers.Dense(3, name="last")(joined))


def time_distributed():
    return _sequence(
        layers.TimeDistributed(layers.Conv1D(5, 2, activation="relu")),
        layers.TimeDistributed(layers.BatchNormalization()),
        layers.TimeDistributed(layers.Flatten()),
        layers.TimeDistributed(layers.Dense(4, "relu")),
        layers.Dense(3),
        shape=(4, 5, 2),
    )


def conv_lstm(rank, **options):
    layer = getattr(layers, f"ConvLSTM{rank}D")
    return _sequence(
        layer(4, 2, return_sequences=True, padding="same"),
        layer(3, 2, **options),
        layers.Flatten(),
        layers.Dense(3),
        shape=(3, *(4,) * rank, 2),
    )


def embedded():
    return _sequence(layers.Embedding(7, 5), layers.Dense(4, "relu"), layers.Dense(3), shape=(4,))


def tied_embedding(**options):
    inputs = keras.Input((4,))
    table = layers.ReversibleEmbedding(7, 5, name="table", **options)
    hidden = layers.Dense(5, "tanh", name="hidden")(table(inputs))
    return keras.Model(inputs, table(layers.Add()([hidden, table(inputs)]), reverse=True))


def untied_embedding():
    return tied_embedding(tie_weights=False)


def self_attention(**options):
    inputs = keras.Input((4, 6))
    hidden = layers.Dense(6, name="hidden")(inputs)
    options = {"num_heads": 3, "key_dim": 4, "name": "attention", **options}
    found = layers.MultiHeadAttention(**options)(hidden, hidden)
    return keras.Model(inputs, layers.Dense(3, name="last")(found))


def cross_attention():
    # Equally long, since Keras takes the scores to be square.
    query, value = keras.Input((4, 6), name="query"), keras.Input((4, 2), name="value")
    asked, known = layers.Dense(5, name="asked")(query), layers.Dense(4, name="known")(value)
    attention = layers.MultiHeadAttention(2, 3, value_dim=4, output_shape=5, name="attention")
    found, scores = attention(asked, known, return_attention_scores=True)
    mean = layers.GlobalAveragePooling2D(data_format="channels_first")(scores)
    found = layers.GlobalAveragePooling1D()(layers.Add()([found, asked]))
    joined = layers.Concatenate()([found, mean])
    return keras.Model([query, value], layers.Dense(3, name="last")(joined))


# As many steps as heads would be taken for the axis of a bias, where heads are of width 1.
def grouped_query_attention():
    inputs = keras.Input((7, 6))
    hidden = layers.Dense(6, name="hidden")(inputs)
    found = layers.GroupQueryAttention(4, 6, 3, name="attention")(hidden, hidden)
    joined = layers.Add()([hidden, found])
    return keras.Model(inputs, layers.Dense(3, name="last")(joined))


def dot_attention(kind, **options):
    query, value = keras.Input((4, 6), name="query"), keras.Input((5, 2), name="value")
    asked, known = layers.Dense(5, name="asked")(query), layers.Dense(5, name="known")(value)
    attention = getattr(layers, kind)(name="attention", **options)
    told = layers.Dense(4, "relu", name="told")(value)
    found = attention([asked, told, known])
    return keras.Model([query, value], layers.Dense(3, name="last")(found))


def attention_of_two():
    query, value = keras.Input((4, 6), name="query"), keras.Input((5, 2), name="value")
    asked, known = layers.Dense(5, name="asked")(query), layers.Dense(5, name="known")(value)
    found = layers.Attention(name="attention")([asked, known])
    return keras.Model([query, value], layers.Dense(3, name="last")(found))


def transformer_block():
    inputs = keras.Input((4,))
    stream = layers.Embedding(7, 6, name="tokens")(inputs)
    normed = layers.RMSNormalization(name="norm1")(stream)
    found = layers.MultiHeadAttention(2, 3, name="attention")(normed, normed, use_causal_mask=True)
    stream = layers.Add(name="add1")([stream, found])
    hidden = layers.Dense(5, "gelu", name="up")(layers.RMSNormalization(name="norm2")(stream))
    stream = layers.Add(name="add2")([stream, layers.Dense(6, name="down")(hidden)])
    return keras.Model(inputs, layers.Dense(3, name="last")(stream))


SEQUENCES = {
    **{
        f"bidirectional_{mode}": (lambda mode=mode: bidirectional(mode))
        for mode in ("concat", "sum", "mul", "ave", None)
    },
    "conv_lstm_1d": lambda: conv_lstm(1),
    "conv_lstm_2d": lambda: conv_lstm(2, return_sequences=True),
    "conv_lstm_3d": lambda: conv_lstm(3, data_format="channels_last"),
    "attention_dot": lambda: dot_attention("Attention", use_scale=True),
    "attention_concat": lambda: dot_attention("Attention", score_mode="concat"),
    "attention_additive": lambda: dot_attention("AdditiveAttention"),
    "self_attention_no_bias": lambda: self_attention(use_bias=False),
    **{
        build.__name__: build
        for build in (
            attention_of_two,
            bidirectional_states,
            cross_attention,
            embedded,
            encoder_decoder,
            grouped_query_attention,
            gru,
            gru_reset_before,
            lstm_stacked,
            rnn_of_cells,
            rnn_of_one_cell,
            self_attention,
            simple_rnn,
            tied_embedding,
            time_distributed,
            transformer_block,
            untied_embedding,
        )
    },
}
