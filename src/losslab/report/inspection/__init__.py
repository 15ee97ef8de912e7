"""`losslab data`: someone's folder or file goes in; what it is, an entry of params.yaml and a picture come out."""
