using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.Worker.Data.Preparing;

/// <summary>
/// Writes one shard under a name of its own; it gets that of a shard once every byte of it is on the disk. A process that is killed leaves
/// a shard whole or not at all.
/// </summary>
internal sealed class ShardWriter : IDisposable
{
    private readonly string _path;
    private readonly string _unfinished;
    private readonly int _idBytes;
    private readonly FileStream _file;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly ArrayBufferWriter<byte> _buffer = new(1 << 20);
    private readonly List<long> _ends = [0];
    private long _textBytes;

    public ShardWriter(string path, string unfinished, int idBytes)
    {
        (_path, _unfinished, _idBytes) = (path, unfinished, idBytes);
        _file = new FileStream(unfinished, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
        _file.Write(new byte[ShardHeader.Bytes]);
    }

    public void Add(IReadOnlyList<int> ids, int textBytes)
    {
        var to = _buffer.GetSpan(ids.Count * _idBytes)[..(ids.Count * _idBytes)];
        if (_idBytes == 2)
        {
            var narrow = MemoryMarshal.Cast<byte, ushort>(to);
            for (var i = 0; i < narrow.Length; i++)
            {
                narrow[i] = (ushort)ids[i];
            }
        }
        else
        {
            var wide = MemoryMarshal.Cast<byte, int>(to);
            for (var i = 0; i < wide.Length; i++)
            {
                wide[i] = ids[i];
            }
        }
        _buffer.Advance(to.Length);
        _ends.Add(_ends[^1] + ids.Count);
        _textBytes += textBytes;
        if (_buffer.WrittenCount >= 1 << 20)
        {
            Flush();
        }
    }

    public ShardHeader Finish(long number, byte[] planDigest)
    {
        var header = new ShardHeader(_idBytes, number, _ends.Count - 1, _ends[^1], _textBytes, planDigest, new byte[32]);
        var padding = (int)(header.IndexAt - ShardHeader.Bytes - (header.Tokens * _idBytes));
        _buffer.Write(new byte[padding]);
        foreach (var end in _ends)
        {
            BinaryPrimitives.WriteInt64LittleEndian(_buffer.GetSpan(sizeof(long)), end);
            _buffer.Advance(sizeof(long));
            if (_buffer.WrittenCount >= 1 << 20)
            {
                Flush();
            }
        }
        Flush();
        header = header with { Sha256 = _hash.GetHashAndReset() };
        RandomAccess.Write(_file.SafeFileHandle, header.ToBytes(), 0);
        DurableFiles.Sync(_file);
        _file.Dispose();
        File.Move(_unfinished, _path, overwrite: true);
        return header;
    }

    public void Dispose()
    {
        _file.Dispose();
        _hash.Dispose();
        File.Delete(_unfinished);
    }

    private void Flush()
    {
        _hash.AppendData(_buffer.WrittenSpan);
        _file.Write(_buffer.WrittenSpan);
        _buffer.ResetWrittenCount();
    }
}
