"""Decode a file once and keep a row of hashes and measurements for each frame; read them back."""
