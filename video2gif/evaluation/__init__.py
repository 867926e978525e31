"""How good a ranking is: nMSD, mAP, recall, intervals, and a reader for anyone's predictions."""
