"""Kinds that are one data set each, in a layout of its own or drawn: settings go in; tensors of its splits come out."""
