# A tiny ACP agent for this room's tests. Words in the prompt are its script, one after the other.
# $AGENT_HOME: a folder of the test; its file "sessions" outlives the process.
say() { printf '%s\n' "$1"; }
update() { say '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s1","update":'"$1"'}}'; }
chunk() { update '{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"'"$1"'"}}'; }
tool() { update '{"sessionUpdate":"tool_call","toolCallId":"'"$1"'","title":"'"$1"'","kind":"execute","status":"completed"}'; }
result() { say '{"jsonrpc":"2.0","id":'"$1"',"result":'"$2"'}'; }
refuse() { say '{"jsonrpc":"2.0","id":'"$1"',"error":{"code":'"$2"',"message":"'"$3"'"}}'; }
note() { printf '%s\n' "$1" >> "$AGENT_HOME/log"; }
models='"configOptions":[{"id":"model","category":"model","type":"select","currentValue":"small","options":[{"value":"small"},{"value":"large"}]}]'
open=
note "start $$ ${AKK_CONVERSATION:+conversation} ${AKK_TICKET:+ticket} ${AKK_CALLBACK_SOCKET:+socket}"
[ -e "$AGENT_HOME/crash-at-start" ] && { echo "no licence" >&2; exit 7; }

# What one word of the prompt does; fails when the turn does not go on.
perform() {
    case $1 in
    SAY) chunk "hello" ;;
    TOOL) tool "work" ;;
    SLOW) sleep 1 ;;
    WAIT) while [ ! -e "$AGENT_HOME/go" ]; do sleep 0.02; done ;;
    DIE) echo "out of luck" >&2; exit 3 ;;
    CHILD) setsid sleep 600 & sleep 601 & ;;
    DEAF) trap '' TERM; deaf=1 ;;
    HANG) note "hanging"; if [ -n "$deaf" ]; then while :; do sleep 0.05; done; fi; return 1 ;;
    ERROR) refuse "$open" -32603 "something broke"; open=; return 1 ;;
    LOGIN) refuse "$open" -32000 "Authentication required"; open=; return 1 ;;
    ASK) say '{"jsonrpc":"2.0","id":0,"method":"session/request_permission","params":{"sessionId":"s1","toolCall":{"toolCallId":"t","title":"danger","kind":"'"${kind:-execute}"'"},"options":[{"optionId":"y","name":"No","kind":"allow_once"},{"optionId":"n","name":"Yes","kind":"reject_once"}]}}'
        IFS= read -r answer; note "answer $answer" ;;
    SHUT) exec <&- ;;
    FILES) say '{"jsonrpc":"2.0","id":5,"method":"fs/read_text_file","params":{"path":"/x"}}'; IFS= read -r answer; note "answer $answer" ;;
    JUNK) say "this is no json" ;;
    FLOOD) yes '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s1","update":{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"}}}}' | head -n 50000 ;;
    MANY) i=0; while [ $i -lt 5010 ]; do tool "t$i"; i=$((i + 1)); done ;;
    TWICE) result "$open" '{"stopReason":"end_turn"}' ;;
    esac
}

while IFS= read -r line; do
    id=${line#*\"id\":}; id=${id%%,*}
    case $line in
    *'"method":"initialize"'*) result "$id" '{"protocolVersion":'"${PROTOCOL:-1}"',"agentCapabilities":{"loadSession":true,"sessionCapabilities":{'"${RESUME-\"resume\":{\}}"'}}}' ;;
    *'"method":"session/new"'*) note new; echo s1 > "$AGENT_HOME/sessions"; result "$id" '{"sessionId":"s1",'"$models"'}' ;;
    *'"method":"session/resume"'*) note resume
        if [ -e "$AGENT_HOME/sessions" ]; then result "$id" "{$models}"; else refuse "$id" -32002 "Resource not found"; fi ;;
    *'"method":"session/load"'*) note load; chunk "replayed"; tool "replayed"; result "$id" "{$models}" ;;
    *'"method":"session/set_config_option"'*) note set; result "$id" "{$models}" ;;
    *'"method":"session/cancel"'*) note cancel
        if [ -n "$open" ] && [ -z "$deaf" ]; then result "$open" '{"stopReason":"cancelled"}'; open=; fi ;;
    *'"method":"session/prompt"'*']}}') open=$id; note "prompt $id"
        text=${line##*\"text\":\"}; text=${text%%\"*}; on=1
        for word in $text; do perform "$word" || { on=; break; }; done
        [ -n "$on" ] && { result "$open" '{"stopReason":"end_turn","usage":{"inputTokens":1}}'; open=; } ;;
    '') ;;
    *) note "broken ${#line}"; say '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}' ;;
    esac
done
