"""Applets: small windows that show datasets; here only far enough that files with one can be imported."""
