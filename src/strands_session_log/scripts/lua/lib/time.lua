-- The server's clock, as TIME tells it: as text, since to write out a number takes as long as a small command.
local function ms_text(time)
    local microseconds = time[2]
    if #microseconds < 6 then microseconds = string.sub('00000' .. microseconds, -6) end
    return time[1] .. string.sub(microseconds, 1, 3)
end

local function now_ms()
    return tonumber(ms_text(redis.call('TIME')))
end

-- Milliseconds as somebody has noted them; 0 of what is no time.
local function ms_in_text(text)
    return type(text) == 'string' and #text <= 14 and string.match(text, '^%d+$') and tonumber(text) or 0
end
