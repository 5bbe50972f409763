-- Appends a batch of events to one session: all of it, or nothing.
--
-- KEYS: events, head, feed, sessions (one slot)
-- ARGV: 1 base revision, 2 base link, 3 base id, 4 session id,
--       5 expectation (any | absent | revision | agent), 6 its subject, 7 its revision, 8 its next message index,
--       then for each event: type agent event time v trace salt link body facts index moves
--
-- Returns {'landed', link, id...}, {'conflict', what, agent, actual} or {'moved', id, link}.
-- Links are computed by the client for exactly one base, so a batch can only ever stand right after that base: one
-- look there tells whether an earlier attempt of the same call has landed.
local events, head, feed, sessions = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local base_revision, base_link, base_id, session = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local FIRST, WIDTH, EVENT, LINK, BODY, FACTS, INDEX, MOVES = 9, 12, 2, 7, 8, 9, 10, 11
local count = (#ARGV - FIRST + 1) / WIDTH

local function argument(number, offset)
    return ARGV[FIRST + (number - 1) * WIDTH + offset]
end

-- Lua writes whole numbers below 10^14 out in full; milliseconds get there in the year 5138.
local function id_text(ms, position)
    return ms .. '-' .. position
end

local function agent_field(agent, name)
    return 'agent:' .. agent .. ':' .. name
end

-- Message indices are kept as ascending ranges: "0-41", or "0-3,7-9" where a writer left a gap.
local function parse_ranges(text)
    local ranges = {}
    for first, last in string.gmatch(text or '', '(%-?%d+)-(%-?%d+)') do
        ranges[#ranges + 1] = { tonumber(first), tonumber(last) }
    end
    return ranges
end

local function contains(ranges, index)
    for position = #ranges, 1, -1 do
        if index > ranges[position][2] then return false end
        if index >= ranges[position][1] then return true end
    end
    return false
end

local function insert(ranges, index)
    local position = #ranges
    while position > 0 and ranges[position][1] > index do position = position - 1 end
    local before, after = ranges[position], ranges[position + 1]
    if before and before[2] + 1 == index then
        before[2] = index
        if after and after[1] == index + 1 then
            before[2] = after[2]
            table.remove(ranges, position + 1)
        end
    elseif after and after[1] == index + 1 then
        after[1] = index
    else
        table.insert(ranges, position + 1, { index, index })
    end
end

local function format_ranges(ranges)
    local parts = {}
    for position, range in ipairs(ranges) do parts[position] = id_text(range[1], range[2]) end
    return table.concat(parts, ',')
end

-- Where the session stands ---------------------------------------------------------------------------------------
-- Most batches are about one agent, so what is known of the first one's comes along.
local first_agent = argument(1, 1)
local known = redis.call('HMGET', head, 'revision', 'link', 'ms',
    agent_field(first_agent, 'messages'), agent_field(first_agent, 'moved'))
local revision, link, last_ms = tonumber(known[1] or 0), known[2], tonumber(known[3] or 0)
local has_events = redis.call('EXISTS', events) == 1
if has_events ~= (revision > 0) then
    local gone = has_events and 'head is gone but its events are not' or 'events are gone but its head is not'
    return redis.error_reply('HALFLOST of session ' .. session .. ' the ' .. gone .. '; restore it or delete the session')
end

-- Has an earlier attempt of this very call landed? ---------------------------------------------------------------
if revision > base_revision then
    local landed = redis.call('XRANGE', events, '(' .. base_id, '+', 'COUNT', count)
    if #landed == count and landed[1][2][2 * EVENT + 2] == argument(1, EVENT) then
        local answer = { 'landed', landed[count][2][2 * LINK + 2] }
        for number = 1, count do answer[number + 2] = landed[number][1] end
        return answer
    end
end

-- Is what the writer expects still so? ---------------------------------------------------------------------------
local ranges_of = {}
local function ranges_for(agent)
    if not ranges_of[agent] then
        local text = agent == first_agent and known[4] or redis.call('HGET', head, agent_field(agent, 'messages'))
        ranges_of[agent] = parse_ranges(text)
    end
    return ranges_of[agent]
end

local function moved_at(agent)
    return agent == first_agent and known[5] or redis.call('HGET', head, agent_field(agent, 'moved')) or '0-0'
end

local function conflict(what, agent, actual)
    return { 'conflict', what, agent, tostring(actual) }
end

local expectation, subject, wanted, wanted_next = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
if expectation == 'absent' and revision > 0 then return conflict('revision', '', revision) end
if expectation == 'revision' and revision ~= tonumber(wanted) then return conflict('revision', '', revision) end
if expectation == 'agent' then
    -- An id tells histories apart that share a revision; a bare revision is for those who know no more.
    local at = wanted ~= '' and moved_at(subject)
    if at and at ~= wanted and string.match(at, '-(%d+)$') ~= wanted then return conflict('agent', subject, at) end
    if wanted_next then
        local ranges = ranges_for(subject)
        local next_index = #ranges > 0 and ranges[#ranges][2] + 1 or 0
        if next_index ~= wanted_next then return conflict('next_message', subject, next_index) end
    end
end
for number = 1, count do
    local index = tonumber(argument(number, INDEX))
    if index then
        local ranges = ranges_for(argument(number, 1))
        if contains(ranges, index) then return conflict('message', argument(number, 1), index) end
        insert(ranges, index)
    end
end
if revision ~= base_revision or (revision > 0 and link ~= base_link) then
    return { 'moved', id_text(last_ms, revision), link or '' }
end

-- The clock, and where the feed stands: the last reads -----------------------------------------------------------
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local ms = math.max(now, last_ms)
local feed_last
if redis.call('EXISTS', feed) == 1 then
    -- Not the newest entry: it may have been deleted, and the stream still refuses ids up to its own.
    local info = redis.call('XINFO', 'STREAM', feed)
    for position = 1, #info, 2 do
        if info[position] == 'last-generated-id' then feed_last = info[position + 1] end
    end
end
local feed_ms, feed_sequence = now, 0
if feed_last then
    local at, sequence = string.match(feed_last, '^(%d+)-(%d+)$')
    feed_ms, feed_sequence = math.max(now, tonumber(at)), tonumber(sequence)
end

-- From here on nothing can fail but the first write, where the server may refuse for want of memory ---------------
redis.call('ZADD', sessions, ms, session)
local answer = { 'landed', argument(count, LINK) }
local changes = {}
for number = 1, count do
    revision = revision + 1
    local id = id_text(ms, revision)
    local agent = argument(number, 1)
    local at = FIRST + (number - 1) * WIDTH
    redis.call('XADD', events, id,
        'type', ARGV[at], 'agent', agent, 'event', ARGV[at + 2], 'time', ARGV[at + 3], 'v', ARGV[at + 4],
        'trace', ARGV[at + 5], 'salt', ARGV[at + 6], 'link', ARGV[at + 7], 'body', ARGV[at + 8])
    feed_sequence = feed_sequence + 1
    redis.call('XADD', feed, id_text(feed_ms, feed_sequence), 'session', session, 'id', id, 'type', ARGV[at],
        'agent', agent, 'link', ARGV[at + 7], 'facts', argument(number, FACTS))
    if argument(number, MOVES) == '1' then changes[agent_field(agent, 'moved')] = id end
    answer[number + 2] = id
end
for agent, ranges in pairs(ranges_of) do
    if #ranges > 0 then changes[agent_field(agent, 'messages')] = format_ranges(ranges) end
end
local fields = { 'HSET', head, 'revision', revision, 'link', argument(count, LINK), 'ms', ms }
if base_revision == 0 then
    fields[#fields + 1] = 'created'
    fields[#fields + 1] = ms
end
for field, value in pairs(changes) do
    fields[#fields + 1] = field
    fields[#fields + 1] = value
    if #fields > 1000 then
        redis.call(unpack(fields))
        fields = { 'HSET', head }
    end
end
if #fields > 2 then redis.call(unpack(fields)) end
return answer
