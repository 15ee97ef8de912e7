"""The report: what the other stages left goes in; figures, and one HTML page that opens offline, come out.

`evidence` reads, `networks` compares networks, `captions` draws it, `image_atlas` packs
the test images, `provenance` has the rest; `page` puts all of it together; `web/` has the page's own files.
"""
