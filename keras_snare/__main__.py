"""`python -m keras_snare` is `keras-snare`."""

import sys

from keras_snare.cli import main

sys.exit(main())
