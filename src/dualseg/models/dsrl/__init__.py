"""Dual super-resolution learning: label decoder (SSSR), image decoder (SISR), feature affinity.

Source: Wang et al., "Dual Super-Resolution Learning for Semantic Segmentation", CVPR 2020.
"""
