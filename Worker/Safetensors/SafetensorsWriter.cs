using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Safetensors;

/// <summary>Writes tensors as one safetensors file: streamed, hashed on the way, and on the disk when it returns.</summary>
public static class SafetensorsWriter
{
    /// <summary>Libraries map the file into memory: data begins at a multiple of 8.</summary>
    private const int Alignment = 8;
    private const int ChunkBytes = 1 << 20;

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

        file.Flush(flushToDisk: true);
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

    private static unsafe void PutTensor(FileStream file, IncrementalHash hash, Tensor value)
    {
        using var scope = NewDisposeScope();
        var plain = value.detach().cpu().contiguous();
        byte* address = (byte*)TensorMemory.Address(plain);
        long bytes = plain.NumberOfElements * plain.ElementSize;
        for (long done = 0; done < bytes; done += ChunkBytes)
        {
            Put(file, hash, new ReadOnlySpan<byte>(address + done, (int)Math.Min(ChunkBytes, bytes - done)));
        }
    }

    private static void Put(FileStream file, IncrementalHash hash, ReadOnlySpan<byte> bytes)
    {
        hash.AppendData(bytes);
        file.Write(bytes);
    }
}
