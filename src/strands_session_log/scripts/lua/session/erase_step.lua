#!lua flags=allow-oom
-- One step of erasing events of a session: copies a bounded number of entries into a new stream, the erased ones
-- without salt and body. The step that reaches the end puts the new stream into place and appends what tells of that:
-- both happen, or neither.
-- uses: lib/append, lib/batch, lib/error_texts, lib/feed_end
--
-- ARGV: what lib/append.lua takes for one event (nothing while the end is far), and last, as JSON:
--       token    whose rewrite this is
--       copied   the id copied last, as far as the caller knows; '' to begin
--       entries, bytes, patience   what a step may copy, and for how many ms a rewrite outlives its last step
--       bodies   what takes the place of each erased body, its commitment, by id, as far as this step can meet them
--       last     id and link of the last event to erase: as long as it stands, so does all history before it
--       known    the head's erased ranges when the caller looked at what there is to erase
--       erased   what they are to be
--       sealed   whose key the event that tells of it is encrypted with; absent if it is not
--
-- Returns 'landed <link> <id>', or 'begun', as lib/append.lua; {'copied', id, head id, head link}, to go on from; {'gone'} without a session; {'held', since which events};
-- {'lost'} when another rewrite came first or came between, so that the caller must look again.
local step, MAX_PAGE = cjson.decode(table.remove(ARGV)), 16
local events, head, feed, sessions, position, rewritten, snapshot, live, texts = unpack(KEYS)
local base_link, base, session = unpack(ARGV, 2, 4)

local function blank(id, fields)
    for position = 1, #fields, 2 do
        if fields[position] == 'salt' then fields[position + 1] = '' end
        if fields[position] == 'body' then fields[position + 1] = step.bodies[id] end
    end
end

-- In pages of a few entries, as many as should fit what may still be copied: bodies range from bytes to megabytes.
-- Returns the id copied last, and whether the end was met.
local function copy(id)
    local entries, bytes, page = 0, 0, 1
    while entries < step.entries and bytes < step.bytes do
        local found = redis.call('XRANGE', events, id == '' and '-' or '(' .. id, '+', 'COUNT', page)
        for _, entry in ipairs(found) do
            local fields = entry[2]
            id = entry[1]
            for position = 2, #fields, 2 do bytes = bytes + #fields[position] end
            if step.bodies[id] then blank(id, fields) end
            redis.call('XADD', rewritten, id, unpack(fields))
        end
        if #found < page then return id, true end
        entries = entries + #found
        local fitting = math.floor((step.bytes - bytes) * entries / bytes)
        page = math.max(1, math.min(MAX_PAGE, step.entries - entries, fitting))
    end
    return id, false
end

local function still_stands()
    local entry = redis.call('XRANGE', rewritten, step.last[1], step.last[1])[1]
    return entry and entry[2][ENTRY_LINK] == step.last[2]
end

-- Returns a reply, or nothing once the new stream is in place.
local function rewrite()
    local known = redis.call('HMGET', head, 'revision', 'link', 'ms', 'erased', 'rewrite', 'held', 'sealed')
    local revision, link, ms, erased, owner = known[1], known[2], known[3], known[4] or '', known[5]
    if not revision then return { 'gone' } end
    if known[6] then return { 'held', known[6] } end
    -- Others have begun to encrypt meanwhile: nothing can be taken back once the new stream is in place.
    if known[7] ~= (step.sealed or false) then return { 'lost' } end
    local last = redis.call('XREVRANGE', rewritten, '+', '-', 'COUNT', 1)[1]
    local copied, ended = last and last[1] or '', false
    if owner ~= step.token then
        if step.copied ~= '' or copied ~= '' or step.known ~= erased then return { 'lost' } end
        redis.call('HSET', head, 'rewrite', step.token)
    end
    if copied == step.copied then
        copied, ended = copy(copied)
        redis.call('PEXPIRE', rewritten, step.patience)
    end
    local stands = ms .. '-' .. revision
    if not (ended and base == stands and base_link == link) then return { 'copied', copied, stands, link } end
    check_feed_is_usable(feed, sessions, session)
    redis.call('HDEL', head, 'rewrite')
    if not still_stands() then
        redis.call('UNLINK', rewritten)
        return { 'lost' }
    end
    redis.call('PERSIST', rewritten)
    redis.call('UNLINK', events, snapshot, live)
    forget_texts(texts, session)
    redis.call('RENAME', rewritten, events)
    redis.call('HSET', head, 'erased', step.erased)
end

local reply = not landed(events) and rewrite()
return reply or append(nil, step.sealed)
