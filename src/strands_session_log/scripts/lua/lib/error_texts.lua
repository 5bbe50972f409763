-- What handlers said of events that were parked may quote content, so it stands in no stream, whose entries cannot be
-- changed, but in one hash of the partition for all groups: under `<group> <id of the parked entry> <session>`, and goes
-- with the content of that session, and with the entry.
local MOST_TEXTS = 1000

local function text_field(group, id, session)
    return group .. ' ' .. id .. ' ' .. session
end

-- Not of an event that is gone or erased by now: whoever handled it may have had it from before. One of the many goes
-- for one that is too many; what is no hash keeps nothing.
local function keep_text(texts, events, group, id, session, event, text)
    local entry = redis.pcall('XRANGE', events, event, event)[1]
    local has_content = type(entry) == 'table' and entry[2][17] == 'salt' and entry[2][18] ~= ''
    local kept = redis.pcall('HLEN', texts)
    if not has_content or type(kept) ~= 'number' then return end
    if kept >= MOST_TEXTS then redis.call('HDEL', texts, redis.call('HRANDFIELD', texts)) end
    redis.call('HSET', texts, text_field(group, id, session), text)
end

-- Before the entry itself goes, which says of which session it is. Mostly there is none, and many are asked for.
local has_texts
local function forget_text(texts, group, parked, id)
    if has_texts == nil then
        local kept = redis.pcall('HLEN', texts)
        has_texts = type(kept) == 'number' and kept > 0
    end
    local entry = has_texts and redis.call('XRANGE', parked, id, id)[1]
    if entry then redis.call('HDEL', texts, text_field(group, id, entry[2][2])) end
end

-- Those of a session, or of a group. Where there are more than are ever kept, somebody else wrote them.
local function forget_texts(texts, session, group)
    local kept = redis.pcall('HLEN', texts)
    if type(kept) ~= 'number' or kept == 0 then return end
    if kept > MOST_TEXTS then return redis.call('UNLINK', texts) end
    for _, field in ipairs(redis.call('HKEYS', texts)) do
        local its_group, its_session = string.match(field, '^(%S+) %S+ (.*)$')
        if not its_group or its_session == session or its_group == group then redis.call('HDEL', texts, field) end
    end
end
