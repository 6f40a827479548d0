"""Calling conventions of other libraries, for those who move over."""
