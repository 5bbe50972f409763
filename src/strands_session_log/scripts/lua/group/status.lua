-- How the groups of one feed stand.
-- uses: lib/feed_ids, lib/group, lib/time
--
-- It only reads, and who may do no more than that may not even ask for the time.
--
-- Returns {now (0 where that is refused), last id of the feed, its length, {group, last delivered id, pending,
--          least pending id, id of the first that was not delivered, {consumer, ms since the server heard of it, ...}, ...}}
local call = redis.call
local feed = KEYS[1]
local time = redis.pcall('TIME')
local now = time.err and 0 or tonumber(ms_text(time))
if call('EXISTS', feed) == 0 then return { now, '0-0', 0, {} } end

local last = named(call('XINFO', 'STREAM', feed))['last-generated-id']
local groups = {}
for _, info in ipairs(call('XINFO', 'GROUPS', feed)) do
    local group = named(info)
    local consumers = {}
    for _, consumer in ipairs(call('XINFO', 'CONSUMERS', feed, group['name'])) do
        local of = named(consumer)
        consumers[#consumers + 1] = of['name']
        consumers[#consumers + 1] = of['idle']
    end
    local delivered = group['last-delivered-id']
    local first = first_after(feed, delivered)
    local pending = group['pending'] > 0 and call('XPENDING', feed, group['name'])[2] or ''
    for _, value in ipairs({ group['name'], delivered, group['pending'], pending, first and first[1] or '', consumers }) do
        groups[#groups + 1] = value
    end
end
return { now, last, call('XLEN', feed), groups }
