# SPDX-License-Identifier: Apache-2.0
pipelinedir = $(pkgdatadir)/pipelines
dist_pipeline_DATA = pipelines/fashion-vit.yaml pipelines/first.yaml pipelines/layer-wise.yaml \
	pipelines/smollm2.yaml pipelines/stories.yaml
