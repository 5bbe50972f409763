-- Stores a value and its key's line in the listing of the partition.
--
-- ARGV: 1 key, 2 value
local value, listing = unpack(KEYS)
local key, content = unpack(ARGV)
redis.call('ZSCORE', listing, key) -- a listing that is none fails here, before anything is written
redis.call('SET', value, content)
redis.call('ZADD', listing, 0, key)
