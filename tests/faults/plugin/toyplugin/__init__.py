"""A plug-in of toys for the tests of faults: good parts in files of their own, bad ones beside."""
