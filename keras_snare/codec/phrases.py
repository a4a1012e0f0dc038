"""What configurations of Keras models are full of, for the compressor to point at.

A part of the file format: another version of the format may have other phrases, this one may not.
"""


def _object(module: str, name: str, config: str) -> str:
    config = f'"config":{config}'
    return f'{{"module":"{module}","class_name":"{name}",{config},"registered_name":null}}'


def _initializer(role: str, name: str, config: str = "{}") -> str:
    return f'"{role}_initializer":{_object("keras.initializers", name, config)},'


_SEED = '{"seed":null,"input_axes":null,"output_axes":null}'
_POLICY = _object("keras", "DTypePolicy", '{"name":"float32"}')
_HEAD = '"trainable":true,"dtype":' + _POLICY + ","
_KERNEL = (
    '"use_bias":true,'
    + _initializer("kernel", "GlorotUniform", _SEED)
    + _initializer("bias", "Zeros")
    + '"kernel_regularizer":null,"bias_regularizer":null,'
)
_CONSTRAINTS = '"kernel_constraint":null,"bias_constraint":null'
_BUILT = '"registered_name":null,"build_config":{"input_shape":[null,'
_POOL = '"pool_size":[2,2],"padding":"valid","strides":[2,2],"data_format":"channels_last"'
_CONVOLUTION = (
    '"filters":64,"kernel_size":[3,3],"strides":[1,1],"padding":"same","data_format":'
    '"channels_last","dilation_rate":[1,1],"groups":1,"activation":"relu",'
)
_NORMALIZATION = (
    '"axis":-1,"momentum":0.99,"epsilon":0.001,"center":true,"scale":true,'
    + _initializer("beta", "Zeros")
    + _initializer("gamma", "Ones")
    + _initializer("moving_mean", "Zeros")
    + _initializer("moving_variance", "Ones")
    + '"beta_regularizer":null,"gamma_regularizer":null,"beta_constraint":null,"gamma_constraint":'
    'null,"synchronized":false,"renorm":false,"renorm_clipping":null,"renorm_momentum":0.99'
)
_SETTINGS = (
    '"compile_config":{"optimizer":{"module":"keras.optimizers","class_name":"Adam","config":'
    '{"name":"adam","learning_rate":0.0010000000474974513,"weight_decay":null,"clipnorm":null,'
    '"global_clipnorm":null,"clipvalue":null,"use_ema":false,"ema_momentum":0.99,'
    '"ema_overwrite_frequency":null,"loss_scale_factor":null,"gradient_accumulation_steps":'
    'null,"beta_1":0.9,"beta_2":0.999,"epsilon":1e-07,"amsgrad":false},"registered_name":null},'
    '"loss":"sparse_categorical_crossentropy","loss_weights":null,"metrics":["accuracy"],'
    '"weighted_metrics":null,"run_eagerly":false,"steps_per_execution":1,"jit_compile":false}'
)
# Keras writes the place of this class in its own code.
_FUNCTIONAL = "keras." + "src.models.functional"
_TENSOR = (
    '"inbound_nodes":[{"args":[{"class_name":"__keras_tensor__","config":{"shape":[null,16,16,32],'
    '"dtype":"float32","keras_history":["conv2d",0,0]}}],"kwargs":{}}]},'
)


def _layer(name: str, called: str, config: str) -> str:
    head = f'{{"module":"keras.layers","class_name":"{name}","config":{{"name":"{called}",'
    return head + _HEAD + config + "},"


def _dense(called: str, units: int, activation: str, features: str) -> str:
    config = f'"units":{units},"activation":"{activation}",{_KERNEL}{_CONSTRAINTS}'
    layer = _layer("Dense", called, config + ',"quantization_config":null')
    return layer + _BUILT + features + "]}},"


# The rarest first: the nearer to the end, the shorter is a pointer.
_RARE = [
    _SETTINGS,
    _layer("LSTM", "lstm", '"return_sequences":true,"return_state":false,"go_backwards":false'),
    _layer("Embedding", "embedding", '"input_dim":1000,"output_dim":64,'),
    _layer("LayerNormalization", "layer_normalization", '"rms_scaling":false,'),
    _layer("GlobalAveragePooling2D", "global_average_pooling2d", '"keepdims":false'),
    _layer("AveragePooling2D", "average_pooling2d", _POOL),
    _layer("ZeroPadding2D", "zero_padding2d", '"padding":[[1,1],[1,1]],'),
    _layer("DepthwiseConv2D", "depthwise_conv2d", '"depth_multiplier":1,"depthwise_'),
    _layer("Conv1D", "conv1d", '"filters":32,"kernel_size":[5],"strides":[1],'),
    _layer("Dropout", "dropout", '"rate":0.5,"seed":null,"noise_shape":null'),
    _layer("Activation", "activation", '"activation":"relu"'),
    _layer("Rescaling", "rescaling", '"scale":0.00392156862745098,"offset":0.0'),
    _layer("Add", "add", ""),
]
_COMMON = [
    _layer("BatchNormalization", "batch_normalization", _NORMALIZATION),
    _layer("Conv2D", "conv2d", _CONVOLUTION + _KERNEL + '"activity_regularizer":null,'),
    _layer("MaxPooling2D", "max_pooling2d", _POOL),
    f'{{"module":"{_FUNCTIONAL}","class_name":"Functional","config":{{"name":"functional",'
    '"trainable":true,"layers":[',
    '"registered_name":"Functional","build_config":{"input_shape":null}',
    '"input_layers":[["input_layer",0,0]],"output_layers":[["dense",0,0]]},',
    _BUILT + '16,16,32]},"name":"' + _TENSOR,
    '"kernel_regularizer":null,"bias_regularizer":null,"activity_regularizer":null,' + _CONSTRAINTS,
    '{"module":"keras","class_name":"Sequential","config":{"name":"sequential",' + _HEAD,
    '"layers":[{"module":"keras.layers","class_name":"InputLayer","config":{"batch_shape":'
    '[null,28,28,1],"dtype":"float32","sparse":false,"ragged":false,"name":"input_layer",'
    '"optional":false},"registered_name":null},',
    _layer("Flatten", "flatten", '"data_format":"channels_last"') + _BUILT + "28,28]}},",
    _dense("dense", 256, "relu", "784"),
    _dense("dense_1", 128, "relu", "256"),
    _dense("dense_2", 10, "softmax", "128"),
    '],"build_input_shape":[null,28,28]},' + _BUILT + "28,28]}}",
]

PHRASES = "".join([*_RARE, *_COMMON]).encode()
