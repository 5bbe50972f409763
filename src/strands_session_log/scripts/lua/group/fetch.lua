#!lua flags=allow-oom
-- Gives a consumer what it is to handle next in one partition: its own, what others left lying, and what is new.
-- uses: lib/feed_ids, lib/gap, lib/group, lib/park, lib/time
--
-- ARGV: 1 group, 2 consumer, 3 'ordered' or '', 4 how many at most (0: only see to it that there is the group)
--       5 where a new group starts (feed | now | beginning)
--       6 look for what was left lying ('1' or ''), 7 after how many ms it counts as left, 8 deliveries at most
--       9 may something be taken that was delivered twice already ('1' or ''), 10 for how many ms a lease holds
--       11 the last envelope this consumer was given and 12 its link ('' if none): compared with the feed each time, so
--       that nothing of another history is given, however much there is
--       13 ids of its own to be given again, separated by spaces
--
-- Returns {status, gap, last delivered id, ms until it is worth asking again, {id, attempts, fields, ...},
--          {id, attempts, error, ...} that were parked, backfill, 1 if 9 left something out}: status is ok, leased or
--          forked; backfill is what this consumer is to read beside the feed: history, between two times, replay; '' for
--          nothing.
local call = redis.call
local feed, group, parked, position, replay = unpack(KEYS)
local name, consumer, ordered, most, start, looks, claim_after, max_attempts, may_suspect, lease, known, link, own = unpack(ARGV)
ordered, looks, may_suspect, most = ordered == 'ordered', looks == '1', may_suspect == '1', tonumber(most)
claim_after, max_attempts, lease = tonumber(claim_after), tonumber(max_attempts), tonumber(lease)
-- What was delivered before takes several commands each, so fewer of it are given at once.
local AGAIN, RECOUNTED = 100, 200
local now = now_ms()

local function first_of_feed()
    return call('XRANGE', feed, '-', '+', 'COUNT', 1)[1]
end

-- A feed that is gone, or was made anew and is empty, goes on after what the partition has had (lib/feed_place.lua).
local function last_of_feed()
    local last = call('EXISTS', feed) == 1 and named(call('XINFO', 'STREAM', feed))['last-generated-id']
    if last and last ~= '0-0' then return last end
    local counted = redis.pcall('GET', position)
    return type(counted) == 'string' and id_or_nil('0-' .. counted) or '0-0'
end

-- Is what this consumer was given last still history? Trimmed is not replaced: a sequence is never used again.
local function is_forked(known, link)
    local there = call('XRANGE', feed, known, known)[1]
    if there then return (there[2][10] or '') ~= link end
    local first = first_of_feed()
    if not first then return sequence_of(last_of_feed()) < sequence_of(known) end
    for _, entry in ipairs(is_envelope(first[2]) and { first } or call('XRANGE', feed, '-', '+', 'COUNT', MOST_FOREIGN)) do
        if is_envelope(entry[2]) then return sequence_of(entry[1]) <= sequence_of(known) end
    end
    -- Where only others have written since, nothing is known.
    return false
end

local function begin(checkpoint)
    local at = checkpoint
    -- Beyond the end of the feed nothing would ever come: this is another feed.
    if at and sequence_of(at) > sequence_of(last_of_feed()) then at = nil end
    if not at then
        local first = start == 'feed' and first_of_feed()
        at = last_of_feed()
        if first then at = beside(first[1], -1) end
        call('HSET', group, 'checkpoint', at, 'created', now)
        if start == 'beginning' then call('HSET', group, 'backfill', 'history') end
        call('XGROUP', 'CREATE', feed, name, at, 'MKSTREAM')
        return at
    end
    local first = first_of_feed()
    if first and is_envelope(first[2]) and not follows(feed, sequence_of(at), first[1]) then
        -- The feed was made anew, and what was pending went with the group: no consumer is to read on as if nothing was.
        note_gap(group, at, first[1])
    elseif not first and sequence_of(last_of_feed()) > sequence_of(at) then
        -- Nothing is left of what came after it, and nothing may come that would tell.
        local last = last_of_feed()
        note_gap(group, at, now .. '-' .. string.format('%.0f', sequence_of(last) + 1))
        at = last
    end
    call('XGROUP', 'CREATE', feed, name, at, 'MKSTREAM')
    return at
end

-- The group, its checkpoint, its lease ----------------------------------------------------------------------------
local delivered = delivered_to(feed, name)
if known ~= '' and is_forked(known, link) then return { 'forked' } end
local state = call('HMGET', group, 'checkpoint', 'gap', 'backfill', 'lease_owner', 'lease_until', 'backoff_until',
    'backfill_owner', 'backfill_owner_until', 'last_read', 'recount_cursor')
local checkpoint, gap = id_or_nil(state[1]), gap_or_none(state[2])
local waiting = redis.pcall('ZCARD', replay)
local work = backfill_of(state[3]) or type(waiting) == 'number' and waiting > 0 and 'replay'
if not delivered then
    delivered = begin(checkpoint or id_or_nil(known))
    gap = gap_or_none(call('HGET', group, 'gap'))
    work = work or backfill_of(call('HGET', group, 'backfill'))
end
-- The group begins in all partitions at once, and nothing is given yet.
if most == 0 then return { 'ok', gap, delivered, -1, {}, {}, '', 0 } end
-- When the group, and this consumer, was last heard of: what XINFO says of consumers begins anew when the server does, and
-- is not the same on all servers.
call('HSET', group, 'last_read', now, HEARTBEAT .. consumer, now)
local recount = id_or_nil(state[10])
if not ordered and is_ahead(state[9], now) then
    recount = '0-0'
    call('HSET', group, 'recount_cursor', recount)
end
if ordered then
    local left = state[4] and state[4] ~= consumer and remaining(group, 'lease_until', state[5], now, lease) or 0
    if left > 0 then return { 'leased', gap, delivered, left, {}, {}, '', 0 } end
    call('HSET', group, 'lease_owner', consumer, 'lease_until', now + lease)
end
-- While sessions are read, no gap is told: whoever then had it read, too, would put one work in place of the other.
local is_reading = work and work ~= 'replay'
if work then
    local is_busy = state[7] and state[7] ~= consumer and remaining(group, 'backfill_owner_until', state[8], now, lease) > 0
    if is_busy then
        if is_reading then return { 'ok', '', delivered, 1000, {}, {}, '', 0 } end
        work = nil
    else
        call('HSET', group, 'backfill_owner', consumer, 'backfill_owner_until', now + lease)
        if work == 'history' then return { 'ok', '', delivered, 1000, {}, {}, work, 0 } end
    end
end

-- What was delivered before ---------------------------------------------------------------------------------------
local entries, buried, has_suspects, first_lost, last_lost = {}, {}, 0, nil, nil

local function lose(id)
    first_lost, last_lost = first_lost or beside(id, -1), beside(id, 1)
    take_off(feed, group, name, id)
end

local function park(id, attempts, holder)
    count(group, 'taken_over:' .. holder)
    local told = string.match(call('HGET', group, 'error:' .. id) or '', '^%d+ (.*)$')
    local why = told or 'its consumers went away while they handled it'
    if not put_aside(feed, group, parked, name, id, attempts, why) then return lose(id) end
    for _, value in ipairs({ id, tostring(attempts), why }) do buried[#buried + 1] = value end
end

-- Whoever had it must hear of that before it settles anything else (group/settle.lua).
local function give(id, attempts, holder)
    count(group, 'taken_over:' .. holder)
    local claimed = call('XCLAIM', feed, name, consumer, 0, id)[1]
    if not claimed then return lose(id) end
    count(group, 'redeliveries')
    for _, value in ipairs({ id, attempts + 1, claimed[2] }) do entries[#entries + 1] = value end
end

-- Errors are kept with the number of the attempt that met them: whoever told of one did not die of it.
local function is_suspect(id, attempts)
    if attempts < 2 and attempts + 1 < max_attempts then return false end
    return string.match(call('HGET', group, 'error:' .. id) or '', '^%d+') ~= tostring(attempts)
end

local function again(rows)
    for _, row in ipairs(rows) do
        local id, attempts = row[1], row[4]
        if #entries >= 3 * most then return end
        if attempts >= max_attempts then park(id, attempts, row[2])
        elseif not is_suspect(id, attempts) then give(id, attempts, row[2])
        elseif may_suspect then
            -- What may have killed its consumers is given alone, so that nothing else is blamed for it.
            may_suspect = false
            give(id, attempts, row[2])
        else
            has_suspects = 1
        end
    end
end

-- The clock went back: what was delivered before that seems to have been in the time to come, and nobody would take it over
-- until then. It counts as delivered now, some of it at a time.
local function count_from_now()
    local rows = call('XPENDING', feed, name, '(' .. recount, '+', RECOUNTED)
    for _, row in ipairs(rows) do
        recount = row[1]
        if row[3] == 0 and #call('XCLAIM', feed, name, row[2], 0, row[1], 'JUSTID') == 0 then lose(row[1]) end
    end
    if #rows < RECOUNTED then call('HDEL', group, 'recount_cursor') else call('HSET', group, 'recount_cursor', recount) end
end

local may_read = true
if ordered then
    local backoff = remaining(group, 'backoff_until', state[6], now, claim_after)
    if backoff > 0 then return { 'ok', is_reading and '' or gap, delivered, backoff, {}, {}, '', 0 } end
    -- First what was delivered, then what a gap swallowed, then what is new.
    local rows = call('XPENDING', feed, name, '-', '+', math.min(most, AGAIN))
    may_read = #rows == 0 and not is_reading
    if #rows > 0 then work = nil end
    for _, row in ipairs(rows) do
        local is_first = #entries == 0
        if first_lost then break
        elseif row[4] >= max_attempts then park(row[1], row[4], row[2])
        elseif is_suspect(row[1], row[4]) then
            if is_first and may_suspect then give(row[1], row[4], row[2])
            elseif is_first then has_suspects = 1 end
            break
        else give(row[1], row[4], row[2]) end
    end
else
    for id in string.gmatch(own, '%S+') do
        again(call('XPENDING', feed, name, id, id, 1, consumer))
    end
    if looks and recount then count_from_now() end
    if looks then again(call('XPENDING', feed, name, 'IDLE', claim_after, '-', '+', AGAIN)) end
end

-- What is new -----------------------------------------------------------------------------------------------------
local room, last = most - #entries / 3, sequence_of(delivered)
-- Where the group was given something of others behind what this consumer knows, that tells no number.
if known ~= '' and stands_before(known, delivered) then last = math.max(last, sequence_of(known)) end
if ordered and may_read then
    -- What is behind a gap comes only when somebody has heard of the gap, and perhaps has it read.
    local first = first_after(feed, delivered)
    if first and is_envelope(first[2]) and not follows(feed, last, first[1]) then
        may_read, first_lost, last_lost = false, delivered, first[1]
        delivered = beside(first[1], -1)
        last = sequence_of(delivered)
        call('XGROUP', 'SETID', feed, name, delivered)
    end
end
if room > 0 and may_read then
    local read = call('XREADGROUP', 'GROUP', name, consumer, 'COUNT', room, 'STREAMS', feed, '>')
    -- Who is given nothing is known to Redis 7.0, and so told of in `groups`, only if that is said.
    if not read then call('XGROUP', 'CREATECONSUMER', feed, name, consumer) end
    local after, is_first = delivered, true
    for _, entry in ipairs(read and read[1][2] or {}) do
        if is_first and is_envelope(entry[2]) then
            is_first = false
            if not follows(feed, last, entry[1]) then first_lost, last_lost = first_lost or after, entry[1] end
        end
        entries[#entries + 1] = entry[1]
        entries[#entries + 1] = 1
        entries[#entries + 1] = entry[2]
        delivered = entry[1]
    end
end

if first_lost then
    gap = note_gap(group, first_lost, last_lost, gap)
end
return { 'ok', is_reading and '' or gap, delivered, -1, entries, buried, work or '', has_suspects }
