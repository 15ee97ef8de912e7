"""Files from elsewhere: URLs, packages, archives, pickles go in; verified files on this disk come out.

What comes from a stranger runs no code, lands inside its folder and takes bounded memory."""
