#!/usr/bin/env bash
# Makes the small media files of test_media.py again: FFmpeg, run in this folder. tiled.heic came from elsewhere: FFmpeg 5 writes no HEIC. The images are Pillow's and pillow-heif's.
set -euo pipefail
ff() { ffmpeg -v error -y "$@"; }
film() { ff -f lavfi -i "testsrc2=s=96x72:r=${RATE:-25}:d=${SECONDS_LONG:-1}" "$@"; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT

# Headers that say too much or too little
for ending in mkv webm mp4; do  # frames left out: 25, then every fifth
  codec=libx264; if [ "$ending" = webm ]; then codec=libvpx; fi
  SECONDS_LONG=2 film -vf "select='lt(n,25)+not(mod(n,5))'" -fps_mode vfr -c:v $codec vfr.$ending
done
SECONDS_LONG=2 film -c:v libx264 -g 20 -bf 2 "$work/long.mp4"
ff -ss 0.7 -i "$work/long.mp4" -c copy cut_copy.mp4
ff -i "$work/long.mp4" -c copy -bsf:v h264_mp4toannexb "$work/long.ts"
tail -c +$((188 * 50 + 1)) "$work/long.ts" > starts_late.ts
ff -i "$work/long.mp4" -c copy -output_ts_offset 30 late_start.mkv
film -f lavfi -i testsrc2=s=64x48:r=25:d=1 -map 0 -map 1 -c:v libx264 two_videos.mp4
film -c:v libvpx -f webm -live 1 - > live.webm
film -c:v libx264 -movflags frag_keyframe+empty_moov fragmented.mp4
film -c:v wmv2 -q:v 12 "$work/fixed.wmv"
ff -i "$work/fixed.wmv" -c copy -r 1000 rate_1000.wmv
film -c:v mpeg4 -q:v 12 "$work/count.avi"
python3 - "$work/count.avi" wrong_count.avi <<'P'
import sys
content = bytearray(open(sys.argv[1], "rb").read())
place = content.index(b"strh") + 8 + 32
content[place : place + 4] = (999).to_bytes(4, "little")
content[48:52] = (999).to_bytes(4, "little")
open(sys.argv[2], "wb").write(content)
P
ff -f lavfi -i sine=d=1 -f lavfi -i testsrc2=s=64x48:r=1:d=1 -map 0 -map 1 -c:a aac -c:v mjpeg -q:v 12 -disposition:v attached_pic song.m4a
film -c:v libx264 "$work/upright.mp4"
ff -i "$work/upright.mp4" -c copy -metadata:s:v rotate=90 turned.mp4
film -c:v libx264 -vf setsar=64/45 wide.mp4
film -c:v libx264 -vf setsar=8/9 narrow.mkv

# Time stamps that are missing, or start again
film -c:v libx264 -bf 2 bframes.avi
film -c:v libx264 -bf 0 raw.h264
film -c:v mjpeg -q:v 12 raw.mjpeg
for ending in ts mpg flv; do
  codec=mpeg2video; if [ "$ending" = flv ]; then codec=flv; fi
  film -c:v $codec -q:v 12 "$work/one.$ending"
done
cat "$work/one.ts" "$work/one.ts" > joined.ts
cat "$work/one.mpg" "$work/one.mpg" > joined.mpg
ff -f lavfi -i "testsrc2=s=96x72:r=25:d=1" -c:v libx264 "$work/one.mkv"
cat "$work/one.mkv" "$work/one.mkv" > joined.mkv

# Animations
for ending in gif apng; do RATE=10 film -f $ending anim.$ending; done
RATE=10 film -c:v libwebp_anim anim.webp
mv anim.apng anim.png
head -c $(($(stat -c %s anim.gif) * 6 / 10)) anim.gif > cut.gif

# Damaged
for codec in mkv:libx264 mp4:libx264 webm:libvpx avi:mjpeg ts:mpeg2video flv:flv wmv:wmv2; do
  ending=${codec%:*}
  flags=; if [ "$ending" = mp4 ]; then flags="-movflags +faststart"; fi
  film -c:v "${codec#*:}" -q:v 12 $flags "$work/whole.$ending"
  head -c $(($(stat -c %s "$work/whole.$ending") * 6 / 10)) "$work/whole.$ending" > "cut.$ending"
done
