"""Measurements from files: pictures, arrays, and operators that their owners wrote.

load_measured(source, image_shape)   # names, y and an operator for each image
"""
