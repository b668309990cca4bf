"""Tests of the Packer builder."""
