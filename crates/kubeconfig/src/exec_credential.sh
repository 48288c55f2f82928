{ set +aefuvx; } 2>/dev/null
# Asks RemoteGPU for a short-lived credential. $1 is the address to ask. The key
# comes from REMOTEGPU_API_KEY and reaches curl through a pipe: it never stands in
# an argument list, in a file or in this kubeconfig.
LC_ALL=C
export LC_ALL
# A positional parameter, unlike a variable, can never be an exported one.
set -- "$1" "${REMOTEGPU_API_KEY-}"
unset REMOTEGPU_API_KEY
newline='
'
clock=
# Writes $1 as one line of at most 300 printable characters, and ends.
fail() {
  rest=$1 line='remotegpu: ' clock=${clock:+; $clock}
  while [ -n "$rest" ] && [ "$((${#line} + ${#clock}))" -lt 300 ]; do
    char=${rest%"${rest#?}"}
    rest=${rest#?}
    case $char in
      [\ -~]) line=$line$char ;;
      *) line=$line'?' ;;
    esac
  done
  printf '%s\n' "$line$clock" >&2
  exit 1
}
# Fails with the string "detail" of the problem document $1, else with $2.
fail_with_detail() {
  case $1 in
    *'"detail"'*) rest=${1#*'"detail"'} ;;
    *) fail "$2" ;;
  esac
  while :; do
    case $rest in
      [:\ ]*) rest=${rest#?} ;;
      \"*) break ;;
      *) fail "$2" ;;
    esac
  done
  rest=${rest#?} detail=
  while :; do
    part=${rest%%[\"\\]*}
    rest=${rest#"$part"}
    detail=$detail$part
    case $rest in
      \\[\"\\/]*)
        part=${rest#??}
        char=${rest%"$part"}
        detail=$detail${char#?}
        ;;
      \\u????*) part=${rest#??????} detail=$detail'?' ;;
      \\?*) part=${rest#??} detail=$detail'?' ;;
      *) break ;;
    esac
    rest=$part
  done
  fail "${detail:-$2}"
}
# Puts $1 milliseconds into $seconds, as curl and sleep take them.
in_seconds() {
  rest=$((1000 + $1 % 1000))
  seconds=$(($1 / 1000)).${rest#1}
}
# What CI systems and .env files put around a key goes: blanks, line ends, quotes.
around=$(printf ' \t\r\042\047')$newline
while :; do
  case $2 in
    ["$around"]*) set -- "$1" "${2#?}" ;;
    *["$around"]) set -- "$1" "${2%?}" ;;
    *) break ;;
  esac
done
case $2 in
  '') fail 'REMOTEGPU_API_KEY is not set: export your API key first' ;;
  *[!A-Za-z0-9_]*) fail 'REMOTEGPU_API_KEY holds a character that no API key has' ;;
esac
server='the server'
case $1 in
  *://*)
    server=${1#*://}
    server=${server%%/*}
    server=${1%%://*}://${server##*@}
    ;;
esac
# An address on this machine is asked directly, not through a proxy.
host=${1#*://}
case $host in
  \[::1\]*) host=127.0.0.1 ;;
  *) host=${host%%[/:]*} ;;
esac
case $host in
  127.*[!0-9.]*) ;;
  127.*|localhost) no_proxy='*'; export no_proxy ;;
esac
# Of the five seconds that there are, the shell and curl need some to start. Who has
# to come again does so under the same name, by which it keeps its place in the line.
left=4800
read -r name 2>/dev/null </proc/sys/kernel/random/uuid || name=plugin-$$
while :; do
  asked=$(date +%s 2>/dev/null)
  case $asked in *[!0-9]*) asked= ;; esac
  case $name in *-*-*) ;; *) name=$name-$asked ;; esac
  in_seconds "$left"
  # The answer, then two headers, the time it took, the HTTP status and curl's exit
  # code, with blanks between.
  {
    answer=$(
      {
        echo "x-api-key: $2" |
          curl -q -sS -g --proto '=http,https' -d '' -H 'content-type:' -H @- \
            -H "x-request-id: $name" --max-time "$seconds" --max-filesize 65536 \
            ${REMOTEGPU_CA_FILE:+--cacert "$REMOTEGPU_CA_FILE"} --url "$1" \
            -w ' %header{retry-after} %header{x-remotegpu-time} %{time_total} %{http_code}'
        echo " $?"
      } 2>&1
    )
  } 2>/dev/null
  exit_code=${answer##* }
  answer=${answer% *}
  case $exit_code/$answer in
    0/*) ;;
    127/*) fail 'curl was not found: install it, or use the plugin kubectl-remotegpu' ;;
    28/*) fail "no answer from $server within 5 seconds" ;;
    */*'curl: ('*)
      answer=${answer##*'curl: ('}
      answer=${answer#*') '}
      answer=${answer%%"$newline"*}
      # It repeats a proxy that it cannot read, in which a password may stand.
      case $answer in
        *@*) answer="curl ended with exit code $exit_code; is the address of the proxy right?" ;;
      esac
      fail "no answer from $server: $answer"
      ;;
    *) fail "no answer from $server: curl ended with exit code $exit_code" ;;
  esac
  status=${answer##* }
  answer=${answer% *}
  took=${answer##* }
  answer=${answer% *}
  time=${answer##* }
  answer=${answer% *}
  pause=${answer##* }
  answer=${answer% *}
  case $took in
    *[!0-9.]*|*.*.*|*.??|*.?|*.|.*) took=9.999999 ;;
    *.*) ;;
    *) took=9.999999 ;;
  esac
  # Neither clock is told to be wrong by what the answer took.
  case $time/$asked in
    */|/*|*[!0-9]*/*|????????????*/*) ;;
    *)
      ahead=$((asked - time - 1)) behind=$((time - asked - ${took%%.*} - 2)) minutes=
      if [ "$ahead" -gt 60 ]; then
        minutes=$(((ahead + 30) / 60)) way='ahead of'
      elif [ "$behind" -gt 60 ]; then
        minutes=$(((behind + 30) / 60)) way=behind
      fi
      case $minutes in
        '') ;;
        1) clock="this machine's clock is 1 minute $way the server's" ;;
        *) clock="this machine's clock is $minutes minutes $way the server's" ;;
      esac
      ;;
  esac
  # Asked again is only after a refusal of one who came too often or too soon.
  case $status/$answer in
    429/*|503/*'"code":"overloaded"'*) ;;
    *) break ;;
  esac
  case $pause in [1-4]) ;; *) break ;; esac
  rest=${took#*.}
  chance=1${rest#"${rest%???}"}
  rest=1${rest%"${rest#???}"}
  spare=$((left - ${took%%.*} * 1000 - rest + 1000 - pause * 1000 - 200))
  [ "$spare" -gt 0 ] || break
  chance=$(((chance + $$) % 250))
  [ "$chance" -lt "$spare" ] || chance=$spare
  left=$((spare + 200 - chance))
  pause=$((pause * 1000 + chance))
  in_seconds "$pause"
  # Where there is no sleep, curl has a way to wait between two files.
  sleep "$seconds" 2>/dev/null ||
    curl -q -s --rate "$((3600000 / pause))/h" -o /dev/null -o /dev/null \
      file:///dev/null file:///dev/null 2>/dev/null || break
done
case $status in
  200) ;;
  3??) fail "$server answered with HTTP status $status, a redirect, which is not followed: is it the right address?" ;;
  *) fail_with_detail "$answer" "the server answered with HTTP status $status" ;;
esac
case $answer in
  *'"ExecCredential"'*'"token"'*|*'"token"'*'"ExecCredential"'*) ;;
  *) fail 'the server answered with something that is no ExecCredential' ;;
esac
[ -z "$clock" ] || printf 'remotegpu: warning: %s: set it right\n' "$clock" >&2
printf '%s\n' "$answer"
