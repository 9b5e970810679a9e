#!/bin/bash
# Makes the fixtures of this folder again. Needs espeak-ng, sox with libsox-fmt-base, opus-tools, ffmpeg,
# musepack-tools, libvo-amrwbenc0.
set -euo pipefail
cd "$(dirname "$0")"
w=$(mktemp -d)
trap 'rm -r "$w"' EXIT
ff() { ffmpeg -v error -y -fflags +bitexact "$@"; }
exact="-flags +bitexact -map_metadata -1"

espeak-ng -v es -s 150 -w "$w/raw.wav" "Tres kilos de totoaba."
sox -D "$w/raw.wav" -b 16 -r 16000 -c 1 "$w/16.wav" norm -6
sox -D "$w/raw.wav" -b 16 -r 44100 -c 1 "$w/mono44.wav" norm -6
sox -D "$w/mono44.wav" "$w/44.wav" remix 1 1v0.5
sox -D "$w/raw.wav" -b 16 -r 48000 -c 1 "$w/48.wav" norm -6
sox -D "$w/raw.wav" -b 16 -r 8000 -c 1 "$w/8.wav" norm -6

ff -i "$w/44.wav" $exact -c:a libmp3lame -b:a 48k speech.mp3
ff -i "$w/44.wav" $exact -c:a libmp3lame -b:a 48k -write_xing 0 -id3v2_version 0 bare.mp3
ff -i "$w/44.wav" $exact -c:a aac -b:a 48k speech.m4a
ff -i "$w/44.wav" $exact -c:a aac -b:a 48k -movflags +frag_keyframe+empty_moov fragmented.m4a
ff -i "$w/44.wav" $exact -c:a aac -b:a 48k speech.aac
ff -i "$w/16.wav" $exact -c:a flac speech.flac
ff -i "$w/16.wav" $exact -c:a flac -f ogg flac.ogg
ff -i "$w/44.wav" $exact -c:a libvorbis -q:a 1 vorbis.ogg
ff -i "$w/16.wav" $exact -c:a libspeex -f ogg speex.ogg
ff -i "$w/48.wav" $exact -c:a libopus -b:a 20k speech.webm
ff -i "$w/16.wav" $exact -c:a flac speech.mka
ff -f lavfi -i testsrc=size=64x48:rate=5 -i "$w/44.wav" $exact -shortest -c:v libx264 -crf 40 \
    -pix_fmt yuv420p -c:a aac -b:a 48k video.mp4
ff -f lavfi -i testsrc=size=64x48:rate=5 -i "$w/44.wav" $exact -shortest -c:v libx264 -crf 40 \
    -pix_fmt yuv420p -c:a aac -b:a 48k video.mov
ff -f lavfi -i testsrc=size=64x48:rate=5 -t 1 $exact -c:v libx264 -crf 40 -pix_fmt yuv420p mute.mp4
ff -i "$w/16.wav" $exact -c:a adpcm_ms adpcm.wav
sox -D "$w/8.wav" -t amr-nb -C 7 speech.amr
ff -i "$w/44.wav" $exact -c:a wmav2 -b:a 32k speech.wma

ff -i "$w/8.wav" $exact -c:a wavpack speech.wv
ff -i "$w/8.wav" $exact -c:a tta speech.tta
mpcenc --silent --overwrite --telephone "$w/mono44.wav" speech.mpc
ff -i "$w/48.wav" $exact -c:a ac3 -b:a 32k speech.ac3
ff -i "$w/48.wav" $exact -c:a eac3 -b:a 32k speech.eac3
ff -i "$w/8.wav" $exact -c:a pcm_u8 speech.voc
ff -i "$w/8.wav" $exact -c:a g726 -b:a 32k g726.wav
sox -D "$w/8.wav" -t wav -e gsm-full-rate gsm.wav trim 0 1.06 # an odd number of odd blocks
ff -i "$w/8.wav" $exact -c:a gsm speech.gsm
ff -i "$w/16.wav" $exact -c:a g722 speech.g722
# Two languages of a film: the second one has more channels. The default flag goes before that.
ff -i "$w/16.wav" -i "$w/44.wav" $exact -map 0 -map 1 -c:a flac -disposition:a:0 0 -t 0.5 two.mka
ff -i "$w/16.wav" -i "$w/44.wav" $exact -map 0 -map 1 -c:a flac -disposition:a:0 default \
    -disposition:a:1 0 -t 0.5 two-default.mka
# Containers that tell nothing new of their codecs.
ff -i "$w/16.wav" $exact -c:a pcm_alaw -t 0.5 speech.caf
ff -i "$w/16.wav" $exact -c:a pcm_mulaw -t 0.5 speech.au
ff -i "$w/16.wav" $exact -c:a pcm_alaw -t 0.5 -f aiff speech.aifc
ff -i "$w/16.wav" $exact -c:a adpcm_ima_wav -t 0.5 speech.w64
ff -i "$w/44.wav" $exact -c:a libmp3lame -b:a 32k -t 0.5 speech.flv
ff -i "$w/48.wav" $exact -c:a mp2 -b:a 32k -t 0.5 speech.mpg
ff -i "$w/48.wav" $exact -c:a mp2 -b:a 32k -t 0.5 speech.ts
ff -i "$w/48.wav" $exact -c:a ac3 -b:a 32k -t 0.5 -mpegts_m2ts_mode 1 -f mpegts speech.m2ts
ff -f lavfi -i testsrc=size=16x16:rate=2 -i "$w/44.wav" $exact -c:v mjpeg -q:v 31 \
    -c:a libmp3lame -b:a 32k -t 0.5 video.avi
# The length is that of the film, which goes on after the sound.
ff -f lavfi -i testsrc=size=16x16:rate=2:duration=3 -i "$w/44.wav" $exact -c:v wmv2 -c:a wmav2 \
    -b:a 32k video.wmv
# The one with more channels is Vorbis.
ff -i "$w/48.wav" -i "$w/44.wav" $exact -map 0 -map 1 -c:a:0 libopus -c:a:1 libvorbis -b:a:0 16k \
    -ac:a:1 2 -t 0.5 two-codecs.ogg
# Codecs that we do not decode.
ff -i "$w/48.wav" $exact -strict -2 -c:a dca -t 0.1 dts.mka
ff -i "$w/48.wav" $exact -strict -2 -c:a truehd -t 0.1 truehd.mka
ff -i "$w/48.wav" -i "$w/16.wav" $exact -strict -2 -map 0 -map 1 -c:a:0 dca -c:a:1 flac -t 0.1 \
    dts-flac.mka
python3 - "$w/16.wav" speech.awb <<'END'
import ctypes, sys, wave
lib = ctypes.CDLL("libvo-amrwbenc.so.0")
lib.E_IF_init.restype = ctypes.c_void_p
state, pcm = ctypes.c_void_p(lib.E_IF_init()), wave.open(sys.argv[1]).readframes(1 << 20)
out, frame = open(sys.argv[2], "wb"), ctypes.create_string_buffer(512)
out.write(b"#!AMR-WB\n")
for at in range(0, len(pcm) - 639, 640):
    out.write(frame.raw[:lib.E_IF_encode(state, 2, pcm[at:at + 640], frame, 0)])
END

opusenc --quiet --serial 1 --bitrate 16 --framesize 60 "$w/16.wav" speech.ogg
opusenc --quiet --serial 2 --bitrate 48 --music "$w/44.wav" "$w/stereo.ogg"
opusenc --quiet --serial 3 --bitrate 32 --speech --framesize 20 "$w/48.wav" hybrid.ogg
opusenc --quiet --serial 4 --bitrate 64 --music "$w/48.wav" celt.ogg
cat speech.ogg "$w/stereo.ogg" speech.ogg > chained.ogg
python3 preskip.py speech.ogg 104 whatsapp whatsapp.ogg
python3 preskip.py speech.ogg 313 other preskip.ogg
sox -D -n -b 16 -r 16000 -c 1 "$w/nothing.wav" trim 0 0
opusenc --quiet --serial 5 "$w/nothing.wav" zero.ogg

# What openai/whisper's load_audio() decodes (s16le, mono, 16 kHz): the count of samples as 32 bits,
# then every eighth sample.
rm -rf decoded
mkdir decoded
for f in *.mp3 {speech,fragmented}.m4a *.aac *.flac {flac,vorbis,speex,speech,hybrid,celt,chained,whatsapp,preskip}.ogg *.webm speech.mka video.* \
    *.amr *.wma adpcm.wav *.wv *.tta *.mpc *.ac3 *.eac3 *.voc g726.wav gsm.wav *.gsm *.g722 *.awb \
    two.mka two-default.mka *.caf *.au *.aifc *.w64 *.flv *.mpg *.ts *.m2ts *.avi *.wmv two-codecs.ogg; do
    ff -i "$f" -f s16le -ac 1 -acodec pcm_s16le -ar 16000 "$w/s16" 2>/dev/null
    python3 - "$w/s16" "decoded/$f.s16" <<'END'
import array, struct, sys
a = array.array("h", open(sys.argv[1], "rb").read())
open(sys.argv[2], "wb").write(struct.pack("<I", len(a)) + a[::8].tobytes())
END
done
