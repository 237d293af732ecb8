"""Stage `collect`: lists what is new in the sources, and cuts it into shards."""
