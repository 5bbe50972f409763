-- Which of the sessions that have had an id stands there: known by when it began, and by the one that it follows.

-- What the head of a session says of the one that had its id last, the token of that one's deletion, when that was as
-- sessions count time, and by the server's clock, from the tombstone; nothing where there is none.
local function predecessor_in(tombstone)
    local is_json, found = pcall(cjson.decode, tombstone or '[]')
    local last = is_json and type(found) == 'table' and found[#found]
    if type(last) ~= 'table' then return nil, '' end
    local text = tostring(last.deleted) .. ' ' .. tostring(last.revision) .. ' ' .. tostring(last.link)
    return text, type(last.token) == 'string' and last.token or '', tonumber(last.deleted), tonumber(last.clock or last.deleted)
end

local function predecessor_of(session, tombstones)
    return predecessor_in(redis.call('HGET', tombstones, redis.sha1hex(session)))
end

local function life_of(created, predecessor)
    return (created or '') .. ' ' .. (predecessor or '')
end
