"""What codes keep of natural speech, and how well text foretells them, before anything is trained."""
