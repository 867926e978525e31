"""How well a ranking is: nMSD, mAP, intervals, and anyone's predictions."""
