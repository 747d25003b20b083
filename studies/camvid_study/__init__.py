"""The study of DSRL on CamVid: what is trained, how it is scored, what is made of the scores."""
