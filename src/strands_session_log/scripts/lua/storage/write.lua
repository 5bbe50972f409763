-- Stores a value and its key's line in the listing of the partition.
--
-- ARGV: 1 key, 2 value, 3 the keyed hash of whom it is about, '' for nobody
local value, listing, subjects = unpack(KEYS)
local key, content, subject = unpack(ARGV)
redis.call('ZSCORE', listing, key) -- a listing that is none fails here, before anything is written
if subject ~= '' then redis.call('ZADD', subjects, 0, subject .. ' storage ' .. key) end
redis.call('SET', value, content)
redis.call('ZADD', listing, 0, key)
