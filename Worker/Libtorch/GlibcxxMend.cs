using System.Buffers.Binary;
using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Text;

namespace DeepSeekOps.Worker.Libtorch;

/// <summary>
/// TorchSharp's native library asks for symbol version GLIBCXX_3.4.32, which Debian 12, Ubuntu 22.04 and RHEL 9 lack. Its only
/// symbol of that version is never looked up (no relocation refers to it), so marking the need as weak in a copy of the file
/// is all that stands between the library and these systems.
/// </summary>
[SupportedOSPlatform("linux")]
internal static class GlibcxxMend
{
    private const string Version = "GLIBCXX_3.4.32";
    private const uint SectionVersionNeeds = 0x6ffffffe; // SHT_GNU_verneed
    private const ushort WeakFlag = 2;                   // VER_FLG_WEAK

    /// <summary>
    /// Path of a mended copy, made once per content in the temporary folder. Several processes may ask at once: each writes
    /// its own file and renames it into place, so nobody ever loads a half-written one.
    /// </summary>
    public static string MendedCopy(string library)
    {
        var image = File.ReadAllBytes(library);
        var digest = Convert.ToHexString(SHA256.HashData(image))[..16];
        var folder = Path.Combine(Path.GetTempPath(), $"dsops-torchsharp-{Environment.UserName}");
        var copy = Path.Combine(folder, $"libLibTorchSharp-{digest}.so");
        // Another user could have put a library there: only a folder of our own, closed to others, is trusted.
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if ((File.GetUnixFileMode(folder) & (UnixFileMode.GroupWrite | UnixFileMode.OtherWrite)) != 0)
        {
            throw new DllNotFoundException($"{folder} may be written by others, so no library is loaded from it: "
                + "chmod go-w it, or set TMPDIR.");
        }

        if (!Mend(image))
        {
            throw new DllNotFoundException(
                $"{library} does not load, and not for want of {Version}: run ldd on it to see what is missing.");
        }

        if (File.Exists(copy) && File.ReadAllBytes(copy).AsSpan().SequenceEqual(image))
        {
            return copy;
        }

        var aside = $"{copy}.{Environment.ProcessId}.{Environment.CurrentManagedThreadId}";
        File.WriteAllBytes(aside, image);
        File.Move(aside, copy, overwrite: true);
        return copy;
    }

    /// <summary>Sets VER_FLG_WEAK on the need for GLIBCXX_3.4.32 in a 64-bit little-endian ELF image. False: there is none.</summary>
    internal static bool Mend(Span<byte> image)
    {
        if (image.Length < 64 || !image[..6].SequenceEqual(ElfMagic))
        {
            return false;
        }

        var sections = (int)BinaryPrimitives.ReadInt64LittleEndian(image[0x28..]);
        var sectionBytes = BinaryPrimitives.ReadUInt16LittleEndian(image[0x3a..]);
        var count = BinaryPrimitives.ReadUInt16LittleEndian(image[0x3c..]);
        var mended = false;
        for (var i = 0; i < count; i++)
        {
            var header = image[(sections + (i * sectionBytes))..];
            if (BinaryPrimitives.ReadUInt32LittleEndian(header[4..]) == SectionVersionNeeds)
            {
                mended |= MendNeeds(image, (int)BinaryPrimitives.ReadInt64LittleEndian(header[0x18..]));
            }
        }

        return mended;
    }

    private static ReadOnlySpan<byte> ElfMagic => [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1];

    private static bool MendNeeds(Span<byte> image, int need)
    {
        var wanted = ElfHash(Version);
        var mended = false;
        while (true)
        {
            var count = BinaryPrimitives.ReadUInt16LittleEndian(image[(need + 2)..]);
            var entry = need + (int)BinaryPrimitives.ReadUInt32LittleEndian(image[(need + 8)..]);
            for (var i = 0; i < count; i++)
            {
                if (BinaryPrimitives.ReadUInt32LittleEndian(image[entry..]) == wanted)
                {
                    BinaryPrimitives.WriteUInt16LittleEndian(image[(entry + 4)..], WeakFlag);
                    mended = true;
                }

                entry += (int)BinaryPrimitives.ReadUInt32LittleEndian(image[(entry + 12)..]);
            }

            var next = (int)BinaryPrimitives.ReadUInt32LittleEndian(image[(need + 12)..]);
            if (next == 0)
            {
                return mended;
            }

            need += next;
        }
    }

    private static uint ElfHash(string name)
    {
        var hash = 0u;
        foreach (var letter in Encoding.ASCII.GetBytes(name))
        {
            hash = (hash << 4) + letter;
            var high = hash & 0xf0000000;
            hash = (hash ^ (high >> 24)) & ~high;
        }

        return hash;
    }
}
