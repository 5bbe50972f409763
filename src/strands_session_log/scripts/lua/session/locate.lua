-- Finds the id of a revision by bisecting the session's time span: about twenty looks for a session of an hour.
--
-- ARGV: 1 revision
-- Returns the id, or false when there is no such revision.
local events, wanted = KEYS[1], tonumber(ARGV[1])

local function parse(entry)
    local ms, revision = string.match(entry[1], '^(%d+)-(%d+)$')
    return tonumber(ms), tonumber(revision)
end

local first = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)[1]
local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1]
if not first then return false end
local low, low_revision = parse(first)
local high, high_revision = parse(last)
-- From 2^53 on, a middle may be no other number than an end, and the search never ends.
if high >= 2 ^ 53 then
    return redis.error_reply('BADID the events end with ' .. last[1] .. ', where no clock can be')
end
if wanted < low_revision or wanted > high_revision then return false end

-- Invariant: the smallest ms up to which at least `wanted` events stand lies in low..high.
while low < high do
    local middle = math.floor((low + high) / 2)
    local entry = redis.call('XREVRANGE', events, string.format('%.0f', middle), '-', 'COUNT', 1)[1]
    local _, revision = parse(entry)
    if revision >= wanted then high = middle else low = middle + 1 end
end
return string.format('%.0f-%.0f', low, wanted)
