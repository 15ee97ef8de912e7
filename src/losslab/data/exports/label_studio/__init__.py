"""Label Studio: its JSON export and a folder of images go in; tensors of three splits come out."""
