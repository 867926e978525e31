"""Published weight files, read without trusting them: Caffe, Lasagne, npz, PyTorch."""
