"""Methods that are trained beforehand, one file each."""
