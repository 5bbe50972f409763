-- Stores a value and its key's line in the listing of the partition.
--
-- KEYS: value, listing (one slot)
-- ARGV: 1 key, 2 value
redis.call('ZSCORE', KEYS[2], ARGV[1]) -- a listing that is none fails here, before anything is written
redis.call('SET', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
