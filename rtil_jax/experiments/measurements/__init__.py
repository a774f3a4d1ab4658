"""Reads measurements from files: pictures, arrays, and operators of the user.

load_measured(source, image_shape)   # names, y and an operator for each image
"""
