using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.Json;
using DeepSeekOps.Recipes.Files;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Safetensors;

/// <summary>Writes tensors as one safetensors file: streamed, hashed on the way, and on the disk when it returns.</summary>
public static class SafetensorsWriter
{
    /// <summary>Libraries map the file into memory: data begins at a multiple of 8.</summary>
    private const int Alignment = 8;
    private const int ChunkBytes = 1 << 20;

    /// <summary>
    /// From here on a tensor is hashed beside being written: each takes milliseconds, and a thread's start is nothing beside them.
    /// </summary>
    private const long BesideBytes = 4 << 20;

    /// <summary>Ours: so many bytes are a fraction of a second of any disk that holds checkpoints.</summary>
    private const long EarlyBytes = 64 << 20;

    private delegate void Taker(ReadOnlySpan<byte> bytes);

    /// <returns>SHA-256 of the file, hex in lower case.</returns>
    /// <exception cref="IOException">The disk is full or gone; what was written so far is left for the caller to remove.</exception>
    public static string Write(string path, IReadOnlyList<(string Name, Tensor Value)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        byte[] header = Header(tensors, metadata ?? new Dictionary<string, string>());
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        Put(file, hash, header);
        foreach (var (_, value) in tensors)
        {
            PutTensor(file, hash, value);
        }

        DurableFiles.Sync(file);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static byte[] Header(IReadOnlyList<(string Name, Tensor Value)> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        using var buffer = new MemoryStream();
        buffer.Write(stackalloc byte[8]);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("__metadata__");
            json.WriteString("format", "pt");
            foreach (var (key, value) in metadata.Where(m => m.Key != "format"))
            {
                json.WriteString(key, value);
            }

            json.WriteEndObject();
            long offset = 0;
            foreach (var (name, value) in tensors)
            {
                offset = WriteEntry(json, name, value, offset);
            }

            json.WriteEndObject();
        }

        while (buffer.Length % Alignment != 0)
        {
            buffer.WriteByte((byte)' ');
        }

        byte[] header = buffer.ToArray();
        BinaryPrimitives.WriteUInt64LittleEndian(header, (ulong)(header.Length - 8));
        return header;
    }

    private static long WriteEntry(Utf8JsonWriter json, string name, Tensor value, long offset)
    {
        long bytes = value.NumberOfElements * value.ElementSize;
        json.WriteStartObject(name);
        json.WriteString("dtype", TensorTypes.NameOf(value.dtype));
        json.WriteStartArray("shape");
        foreach (long size in value.shape)
        {
            json.WriteNumberValue(size);
        }

        json.WriteEndArray();
        json.WriteStartArray("data_offsets");
        json.WriteNumberValue(offset);
        json.WriteNumberValue(offset + bytes);
        json.WriteEndArray();
        json.WriteEndObject();
        return offset + bytes;
    }

    private static void PutTensor(FileStream file, IncrementalHash hash, Tensor value)
    {
        using var scope = NewDisposeScope();
        var plain = value.detach().cpu().contiguous();
        nint address = TensorMemory.Address(plain);
        long bytes = plain.NumberOfElements * plain.ElementSize;
        if (bytes < BesideBytes)
        {
            InChunks(address, bytes, chunk => Put(file, hash, chunk));
            return;
        }

        // To hash takes about as long as to hand the bytes to the system.
        System.Threading.Tasks.Parallel.Invoke(
            () => InChunks(address, bytes, chunk =>
            {
                file.Write(chunk);
                if (file.Position / EarlyBytes != (file.Position - chunk.Length) / EarlyBytes)
                {
                    EarlyWriteback.Begin(file);
                }
            }),
            () => InChunks(address, bytes, hash.AppendData));
    }

    private static unsafe void InChunks(nint address, long bytes, Taker take)
    {
        for (long done = 0; done < bytes; done += ChunkBytes)
        {
            take(new ReadOnlySpan<byte>((byte*)address + done, (int)Math.Min(ChunkBytes, bytes - done)));
        }
    }

    private static void Put(FileStream file, IncrementalHash hash, ReadOnlySpan<byte> bytes)
    {
        hash.AppendData(bytes);
        file.Write(bytes);
    }
}
