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

# Plugins to learn from, each built and checked by itself. They lie to the model as they do here.
treedir = $(pkgdatadir)
nobase_dist_tree_DATA = \
	share/examples/plugins/codebook/Makefile \
	share/examples/plugins/codebook/ci.yml \
	share/examples/plugins/codebook/codebook.7 \
	share/examples/plugins/codebook/codebook.c \
	share/examples/plugins/codebook/meson.build \
	share/examples/plugins/codebook/pipeline.yaml \
	share/examples/plugins/codebook/test.sh
nobase_dist_tree_DATA += \
	share/examples/plugins/low-rank/Makefile \
	share/examples/plugins/low-rank/ci.yml \
	share/examples/plugins/low-rank/low-rank.7 \
	share/examples/plugins/low-rank/low-rank.c \
	share/examples/plugins/low-rank/meson.build \
	share/examples/plugins/low-rank/pipeline.yaml \
	share/examples/plugins/low-rank/test.sh
nobase_dist_tree_DATA += \
	share/examples/plugins/wanda-importance/Makefile \
	share/examples/plugins/wanda-importance/ci.yml \
	share/examples/plugins/wanda-importance/meson.build \
	share/examples/plugins/wanda-importance/pipeline.yaml \
	share/examples/plugins/wanda-importance/test.sh \
	share/examples/plugins/wanda-importance/wanda-importance.7 \
	share/examples/plugins/wanda-importance/wanda-importance.c
nobase_dist_tree_DATA += \
	share/examples/plugins/outlier-clip/Makefile \
	share/examples/plugins/outlier-clip/ci.yml \
	share/examples/plugins/outlier-clip/meson.build \
	share/examples/plugins/outlier-clip/outlier-clip.7 \
	share/examples/plugins/outlier-clip/outlier-clip.cpp \
	share/examples/plugins/outlier-clip/pipeline.yaml \
	share/examples/plugins/outlier-clip/test.sh
nobase_dist_tree_DATA += \
	share/examples/plugins/weight-spread/Makefile \
	share/examples/plugins/weight-spread/ci.yml \
	share/examples/plugins/weight-spread/pipeline.yaml \
	share/examples/plugins/weight-spread/test.sh \
	share/examples/plugins/weight-spread/weight-spread.7 \
	share/examples/plugins/weight-spread/weight-spread.rs
