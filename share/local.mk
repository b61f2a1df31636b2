# SPDX-License-Identifier: Apache-2.0
# The model and the data of the quick start, where the example pipelines find them: ../share from pipelines/.
vitdir = $(pkgdatadir)/share/models/fashion-vit
dist_vit_DATA = share/models/fashion-vit/config.json \
	share/models/fashion-vit/model.safetensors \
	share/models/fashion-vit/README.md \
	share/models/fashion-vit/preprocessor_config.json \
	share/models/fashion-vit/train.py
storiesdir = $(pkgdatadir)/share/models/stories260K
dist_stories_DATA = share/models/stories260K/LICENSE share/models/stories260K/README.md \
	share/models/stories260K/stories260K.gguf
alicedir = $(pkgdatadir)/share/data/alice
dist_alice_DATA = share/data/alice/README.md share/data/alice/calibration.txt \
	share/data/alice/test.txt
fashiondir = $(pkgdatadir)/share/data/fashion-mnist
dist_fashion_DATA = share/data/fashion-mnist/README.md \
	share/data/fashion-mnist/calibration-images-idx3-ubyte.gz \
	share/data/fashion-mnist/calibration-labels-idx1-ubyte.gz \
	share/data/fashion-mnist/test-images-idx3-ubyte.gz \
	share/data/fashion-mnist/test-labels-idx1-ubyte.gz
