"""The review page: `video2gif serve`, a small web server on loopback.

`guard` says which requests are served at all, `review` holds what is known of a folder's videos and
does the work in a thread, `uploads` takes files in, `app` maps URLs to them.
"""
