-- Envelopes that one consumer did not see: have others of its group had them, or are they gone?
--
-- KEYS: feed, group (one slot)
-- ARGV: 1 the id before them, 2 the id after them
--
-- Returns what is missing in the group, as two ids; '' when nothing is. What is gone is noted in the group.
local call = redis.call
local after, before = ARGV[1], ARGV[2]
local first = first_after(KEYS[1], after, before)
for _ = 1, MOST_FOREIGN do
    if not first or is_envelope(first[2]) then break end
    first = first_after(KEYS[1], first[1], before)
end
local noted = call('HMGET', KEYS[2], 'gap', 'checkpoint', 'backfill')
local gap, checkpoint = gap_or_none(noted[1]), id_or_nil(noted[2])
-- What others have settled may be trimmed already.
local settled = checkpoint and sequence_of(checkpoint) or 0
local last = math.max(sequence_of(after), settled)
local is_whole = not first or not is_envelope(first[2]) or follows(KEYS[1], last, first[1])
if backfill_of(noted[3]) and is_whole then return '' end
if is_whole then return gap end
gap = widened(gap, after, first[1])
call('HSET', KEYS[2], 'gap', gap)
return gap
